/** Pictures of this panel and the comparison as PNG files, with the settings in them. */

import { asMaetokError } from "../../errors.ts";
import type { Picture } from "../../protocol.ts";
import { write as writeRecipe } from "../../share/recipe.ts";
import type { Settings } from "../../state/state.ts";
import { h, save } from "../../ui/dom.ts";
import type { Notice } from "../../ui/notice.ts";
import { words } from "../../words/index.ts";
import type { Lab } from "../panel.ts";

export interface Keep {
  notice: Notice;
  /** Begins the file's name: what was mixed. */
  name: () => string;
}

/** Saves a picture of the panel under a name, with the settings that it was made with: the present ones, if not given. */
export function keepPicture<P extends "mix" | "compare">(lab: Lab, panel: P, picture: Picture, name: string, notice: Notice, settings: Settings[P] = lab.store.get()[panel]): void {
  lab.client
    .png(picture, writeRecipe(lab.model.title, panel, settings))
    .then((file) => {
      save(file, name);
      lab.say(words().shell.saved);
    })
    .catch((thrown: unknown) => notice.show(asMaetokError(thrown)));
}

/** A button that saves what `what` gives; nothing happens while that is nothing. */
export function saveButton(lab: Lab, keep: Keep, label: string, what: () => { picture: Picture; name: string } | null | undefined): HTMLButtonElement {
  const button = h("button", { type: "button", class: "quiet" }, label);
  button.addEventListener("click", () => {
    const made = what();
    if (made) keepPicture(lab, "mix", made.picture, `${keep.name()}-${made.name}.png`, keep.notice);
  });
  return button;
}
