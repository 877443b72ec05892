/** What is outside the element: the header and the footer of `index.html`, in the reader's language. */

import { chooseLanguage, lang, type Language, LANGUAGES, words } from "../words/index.ts";
import { h } from "./dom.ts";

/** The file is in English and is what is read until now; `data-words` and `data-title` name what stands in their place. */
export function dressPage(): void {
  const { page } = words().shell;
  const word = (key: string | undefined) => page[key as keyof typeof page];
  document.documentElement.lang = lang();
  document.title = page.title;
  document.querySelector("meta[name=description]")?.setAttribute("content", page.description);
  for (const element of document.querySelectorAll<HTMLElement>("[data-words]")) element.textContent = word(element.dataset.words);
  for (const element of document.querySelectorAll<HTMLElement>("[data-title]")) element.title = word(element.dataset.title);

  const select = document.querySelector<HTMLSelectElement>("#language");
  if (!select) return;
  select.replaceChildren(...Object.entries(LANGUAGES).map(([tag, name]) => h("option", { value: tag, lang: tag }, name)));
  select.value = lang();
  select.addEventListener("change", () => chooseLanguage(select.value as Language));
}
