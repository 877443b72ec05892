/** The page: words, then the element. `?device=webgpu` or `?device=cpu` in the address chooses the engine, `?lang=de` the language. */

// In the order the rules count in. What only one panel needs, that panel imports.
import "./style/page.css";
import "./style/shell.css";
import "./style/machine.css";
import "./style/alert.css";
import "./style/update.css";
import "./style/controls.css";
import "./style/classes.css";
import "./style/stage.css";
import "./style/explain.css";
import "./style/offer.css";
import "./style/motion.css";
import { MaetokStudio } from "./studio.ts";
import { dressPage } from "./ui/page.ts";
import { startWords } from "./words/index.ts";

await startWords();
dressPage();
const device = new URLSearchParams(location.search).get("device");
if (device) document.querySelector("maetok-studio")?.setAttribute("device", device);
customElements.define("maetok-studio", MaetokStudio);
