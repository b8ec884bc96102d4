// The models page.

import "./site.js";
import { startPart } from "./part.js";

startPart();
