/** The page: registers the element. `?device=webgpu` or `?device=cpu` in the address chooses the engine. */

import "./style.css";
import { MaetokStudio } from "./studio.ts";

const device = new URLSearchParams(location.search).get("device");
if (device) document.querySelector("maetok-studio")?.setAttribute("device", device);
customElements.define("maetok-studio", MaetokStudio);
