/** The page: registers the element. `?device=webgpu` or `?device=cpu` in the address chooses the engine. */

// In the order the rules count in.
import "./style/page.css";
import "./style/machine.css";
import "./style/alert.css";
import "./style/controls.css";
import "./style/classes.css";
import "./style/stage.css";
import "./style/reconstruct.css";
import "./style/motion.css";
import { MaetokStudio } from "./studio.ts";

const device = new URLSearchParams(location.search).get("device");
if (device) document.querySelector("maetok-studio")?.setAttribute("device", device);
customElements.define("maetok-studio", MaetokStudio);
