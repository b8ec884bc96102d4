// The campaigns page: simulations appear and go on by themselves.

import "./site.js";
import { startPart } from "./part.js";

startPart();
