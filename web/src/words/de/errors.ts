/** Errors by their kind. The sentence of the engine follows in brackets. */

import type { Words } from "../index.ts";

export const errors: Words["errors"] = {
  config: { message: "Die Konfiguration des Modells ist nicht brauchbar.", advice: "Der Modellordner auf dem Server muss instand gesetzt werden." },
  setting: { message: "Eine Einstellung liegt außerhalb ihrer Grenzen.", advice: "Sie ändern und erneut versuchen." },
  "unknown-class": { message: "Diese Klasse hat das Modell nicht.", advice: "Eine andere wählen." },
  picture: { message: "Das Bild ist nicht brauchbar.", advice: "Eine andere Datei wählen." },
  weights: { message: "Die Gewichte des Modells sind nicht brauchbar.", advice: "Die Seite neu laden, damit das Modell noch einmal geholt wird." },
  manifest: { message: "Das Inhaltsverzeichnis des Modells ist nicht brauchbar.", advice: "Der Modellordner auf dem Server muss instand gesetzt werden." },
  checksum: { message: "Eine Datei des Modells kam beschädigt an.", advice: "Nichts davon wurde behalten; erneut versuchen." },
  io: { message: "Eine Datei konnte nicht gelesen werden.", advice: "Erneut versuchen." },
  device: { message: "Der Grafikprozessor hat versagt.", advice: "Der Rechenkern wurde neu gestartet: erneut versuchen oder oben den anderen wählen." },
  kernel: { message: "Der Grafikprozessor verweigert eines der Programme.", advice: "Wenn möglich, geht es ohne dieses weiter: erneut versuchen oder oben den Prozessor wählen." },
  training: { message: "Das Training kann nicht weitergehen.", advice: "Erneut versuchen." },
  download: { message: "Etwas konnte nicht geladen werden.", advice: "Verbindung prüfen und erneut versuchen." },
  cancelled: { message: "Angehalten.", advice: "Erneut versuchen." },
  unsupported: { message: "Dieser Browser kann den Rechenkern nicht ausführen.", advice: "Den Browser aktualisieren oder einen anderen nehmen." },
  busy: { message: "Etwas anderes ist noch in Arbeit.", advice: "Gleich noch einmal versuchen." },
  crash: { message: "Der Rechenkern ist an einem eigenen Fehler gescheitert.", advice: "Er wurde neu gestartet: erneut versuchen, und oben den anderen wählen, wenn es wieder geschieht." },
  other: { message: "Etwas ist fehlgeschlagen.", advice: "Erneut versuchen oder die Seite neu laden." },
};
