/** The guided tour. */

import type { Words } from "../index.ts";

export const tour: Words["tour"] = {
  place: (at, of) => `Halt ${at} von ${of}`,
  back: "Zurück",
  next: "Weiter",
  done: "Fertig",
  goThere: "Dorthin",
  end: "Rundgang beenden",
  ended: "Der Rundgang ist zu Ende; der Knopf oben beginnt ihn neu.",
  keys: "Pfeiltasten: weiter und zurück. F6: zum Bedienelement und wieder hierher. Escape: beenden.",
  failed: "Der Rundgang konnte nicht geladen werden.",
  stops: {
    noise: {
      title: "Aus Rauschen wird ein Bild",
      text: "Das Modell hat gelernt, Rauschen Stück für Stück wegzunehmen, bis ein Bild übrig bleibt. Was für ein Bild, sagt ihm die Klasse.",
      task: "Eine Klasse wählen und „Bild erzeugen“ drücken. Dann den Regler unter dem Bild zurückziehen und zusehen, wie es wieder aus dem Rauschen tritt.",
    },
    steps: {
      title: "Schritte und Guidance",
      text: "Mit wenigen Schritten muss es weit voraus raten. Die Guidance sagt, wie streng der Klasse gefolgt wird: 1 wie gelernt, mehr für Typischeres.",
      task: "Den Seed lassen, wie er ist. Mit 4 Schritten erzeugen, dann mit 50; danach mit 25 Schritten und Guidance 1, und mit 8.",
    },
    survives: {
      title: "Was von einem Bild bleibt",
      text: "Der Generator arbeitet nicht mit Pixeln, sondern mit einer kurzen Liste von Zahlen, dem Latent. Der Tokenizer schreibt Bilder darin auf und malt sie daraus neu. Was er nicht aufschreiben kann, geht verloren.",
      task: "Ihm ein Bild geben wie die, aus denen er gelernt hat, dann ein Foto, und beide Ergebnisse vergleichen.",
    },
    mask: {
      title: "Einen Teil verbergen",
      text: "Beim Lernen war etwa die Hälfte jedes Bildes vor ihm verborgen. So musste jede Zahl des Latents etwas vom Ganzen wissen, und in solchen Latents lässt sich gut erzeugen.",
      task: "Ein Bild geben, falls noch keines da ist. Dann immer mehr davon verbergen: Wie lange weiß das Latent noch, was es ist?",
    },
    mix: {
      title: "Zwischen zwei Bildern",
      text: "Latents sind Punkte in einem Raum, also führt ein Weg von einem zum anderen. An jeder Stelle darauf malt der Decoder ein Bild.",
      task: "Zwei Bilder oder zwei Seeds wählen und vom einen zum anderen gehen.",
    },
    map: {
      title: "Wo Bilder liegen",
      text: "Latents sind Punkte in einem Raum. Von einer Seite gesehen sind Tausende davon eine Karte: Ähnliches liegt beisammen, und ein Lauf kommt aus der Mitte herein.",
      task: "Die Karte laden und darauf zeigen. Dann einen Lauf seinen Platz finden lassen.",
    },
  },
};
