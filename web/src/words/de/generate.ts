/** From a class to a picture. */

import type { Words } from "../index.ts";
import { CLASSES, GROUPS } from "./model.ts";

export const generate: Words["generate"] = {
  tab: "Erzeugen",
  title: "Zusehen, wie aus Rauschen ein Bild wird",
  intro:
    "Ein Bild beginnt als Rauschen. In jedem Schritt errät das Netz aus dem, was da ist, das fertige Bild (diese Schätzung heißt x̂0) und nimmt ein wenig vom Rauschen weg.",
  class: "Was soll es werden?",
  classTerm: "(Klasse)",
  group: (name) => GROUPS[name] ?? name,
  label: (name) => CLASSES[name] ?? name,
  seed: "Startrauschen",
  seedTerm: "(Seed)",
  seedHint: "Gleiche Zahl, gleiches Bild.",
  dice: "Anderer Seed",
  steps: "Schritte",
  stepsHint: "1 bis 1000: feiner, langsamer.",
  guidance: "Wie streng der Klasse gefolgt wird",
  guidanceTerm: "(Guidance-Stärke)",
  guidanceHint: "1 folgt ihr wie gelernt; mehr wird typischer und weniger abwechslungsreich.",
  sampler: "Art der Schritte",
  samplerTerm: "(Sampler)",
  samplers: {
    euler: "Euler: gerade Schritte",
    heun: "Heun: zwei Blicke je Schritt",
    sde: "Euler–Maruyama: mit neuem Rauschen",
  },
  go: "Bild erzeugen",
  download: (size) => `Für das erste Bild werden bis zu ${size} geladen, einmalig.`,
  nothingYet: "Rauschen. Eine Klasse wählen und auf „Bild erzeugen“ drücken.",
  finished: "Das fertige Bild",
  guess: (index, of, noise) => `Schätzung bei Schritt ${index} von ${of}, noch ${noise} % Rauschen`,
  stoppedAt: (index, of) => `Bei Schritt ${index} von ${of} angehalten; die letzte Schätzung bleibt.`,
  stillBefore: "Angehalten. Zu sehen ist noch das Bild von vorher.",
  done: (time) => `Fertig nach ${time}`,
  starting: (time) => `davon ${time} für Laden und Start`,
  aStep: (time) => `${time} je Schritt`,
  guesses: (share) => `${share} % der Rechenzeit für die gezeigten Schätzungen`,
  said: (time) => `Fertig nach ${time}.`,
  noClass: "Es ist keine Klasse gewählt.",
  noClassAdvice: "Eines der Bilder wählen.",
  unknownClass: (name) => `Dieses Modell hat keine Klasse „${name}“; stattdessen ist seine erste gewählt.`,
  badSeed: (given) => `Der Seed ist ${given === "" ? "leer" : `„${given}“`}, muss aber eine ganze Zahl von 0 bis 2⁶⁴ − 1 sein.`,
  badSteps: (given) => `Die Zahl der Schritte ist ${given || "leer"}, muss aber eine ganze Zahl von 1 bis 1000 sein.`,
};
