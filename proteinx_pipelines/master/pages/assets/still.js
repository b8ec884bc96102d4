// A page that does not change: times stay true, ids can be copied.

import "./site.js";

document.documentElement.dataset.ready = "true";
