/** “What am I seeing?”: what stands between the formulas, by panel. */

import type { Words } from "../index.ts";

export const explain: Words["explain"] = {
  title: "Was ist hier zu sehen?",
  source: "Quelle:",
  section: (number) => `Abschnitt ${number}`,
  generate: {
    path: "Das Training legt einen Weg zwischen ein Bild x und reines Rauschen ε. Zur Zeit t hat der Zustand darauf α vom einen und σ vom anderen:",
    pathEnd: "t = 1 ist also Rauschen und t = 0 das Bild. Das Netz hat gelernt, aus Zustand, Zeit und Klasse die Richtung des Weges (die Geschwindigkeit v) anzugeben.",
    step: "Das Erzeugen geht den Weg in Schritten von Δt zurück. Ein Schritt nach Euler ist",
    guess: "Bei jedem Schritt lässt sich der Rest des Weges in einem Sprung schätzen; das ist die Schätzung, die zu sehen ist:",
    guessElse: "Bei jedem Schritt lässt sich der Rest des Weges in einem Sprung entlang der Richtung v schätzen; das ist die Schätzung, die zu sehen ist.",
    guidance: "Die Guidance-Stärke w geht weiter in die Richtung, in der sich die Klasse (c) von keiner Klasse (∅) unterscheidet:",
    interval: "Sie lässt sich auf einen Zeitraum beschränken: Früh macht sie die Bilder einander ähnlich, spät ändert sie wenig. Außerhalb ist w gleich 1; ein Intervall, in das kein Schritt fällt, etwa von 0 bis 0, ist also dasselbe wie keine Guidance.",
    latent: "All das geschieht mit dem Latent des Tokenizers, nicht mit Pixeln: einer kurzen Liste von Zahlen, aus der der Decoder die Bilder malt, die hier erscheinen.",
  },
  reconstruct: {
    code: "Der Encoder E macht aus dem Bild x L Token zu je C Zahlen, das Latent z. Der Decoder D malt allein daraus ein Bild:",
    mask: "Im Training war ein Teil des Bildes vor dem Encoder verborgen, etwa jedes zweite Feld, und musste dennoch wiedergefunden werden. So kann sich kein Token mit einer Ecke begnügen: Jedes muss etwas vom Ganzen wissen.",
    hide: "Felder, die hier verborgen werden, bleiben es auf dieselbe Weise: Der Encoder bekommt nur die übrigen, an ihren Plätzen, und seine Token müssen damit auskommen.",
    edit: "Ein weggelassenes Token erhält für alle seine Zahlen das Mittel μ der Latents des Trainings, und Rauschen wird in deren Standardabweichung σ gemessen. Ist z₋ᵢ das Latent ohne Token i, so ist dessen Wirkung der mittlere (⟨ ⟩) Unterschied aller Farbwerte:",
    error: "Die Fehlerkarte zeigt den Unterschied der Helligkeit mit seinem Vorzeichen, von −255 bis 255.",
    psnr: "Wie nah sich beide in ihren Farbwerten von 0 bis 1 sind, sagt der mittlere quadratische Fehler (MSE) in Dezibel:",
    ssim: "SSIM vergleicht stattdessen Helligkeit, Kontrast und Struktur in kleinen Fenstern; 1 ist dasselbe Bild.",
  },
  map: {
    components: "Jedes Bild ist ein Latent z aus L × C Zahlen, ein Punkt in einem Raum mit ebenso vielen Dimensionen. Die Hauptkomponentenanalyse (PCA) findet darin die Richtungen u, in denen sich die Bilder am meisten unterscheiden, jede rechtwinklig zu den anderen. Der Platz eines Bildes auf der k-ten ist",
    componentsEnd: "mit μ als Mittel aller Bilder der Karte. Zwei solche Richtungen sind die Achsen, die zu sehen sind. Berechnet werden sie hier in diesem Browser aus den Latents der Karte.",
    distance: "Eine Ebene kann die Abstände so vieler Dimensionen nicht zeigen: Zwei Punkte können aufeinander liegen und weit voneinander entfernt sein. Nachbarn werden deshalb in allen Zahlen gesucht, nach der mittleren quadratischen Abweichung in Einheiten von σ, der Standardabweichung der Zahlen aller gelernten Bilder:",
    run: "Ein Lauf beginnt als Rauschen, das keine Klasse hat: nahe der Mitte der Karte. Seine Schätzungen x̂0 beginnen nahe dem Mittel der Klasse, bei starker Guidance jenseits davon, und legen sich auf ein Bild fest, während das Rauschen schwindet.",
    space: "Warum das zählt: Nach dem Aufsatz lernt ein Generator einen Raum von Latents leichter, wenn die Klassen darin getrennt und in wenigen Haufen liegen. Das Verbergen von Bildteilen im Training führt dazu.",
  },
  mix: {
    between: "Die Latents z zweier Bilder sind Listen gleich vieler Zahlen. Zwischen ihnen liegt also ein gerader Weg, und bei jedem Anteil s davon malt der Decoder ein Bild:",
    circle: "Rauschen liegt nahe an einer Kugelfläche, und Latents ebenso: Der gerade Weg führt durch die Kugel und wird in der Mitte zu klein. Der Bogen bleibt außen; θ ist der Winkel zwischen beiden:",
    tokens: "Ein Latent dieses Tokenizers ist eine Reihe von Token, und nichts an seiner Form bindet ein Token an einen Ort im Bild: Wofür jedes zuständig ist, hat der Tokenizer selbst herausgefunden. Es zeigt sich, wenn eines in ein anderes Bild gesetzt wird.",
    walk: "Auch eine Klasse kennt der Generator als Liste von Zahlen, ihre Einbettung c, und zwischen zweien davon findet er sich ebenso zurecht:",
    edit: "Das Umarbeiten führt das Latent x des Bildes ein Stück weit zurück zum Rauschen ε, und der Generator geht den Rest unter einer anderen Klasse wieder hinab (SDEdit):",
    editEnd: "Das Rauschen verdeckt zuerst das Kleine und zuletzt das Große; t entscheidet also, wie viel vom Bild die andere Klasse hinnehmen muss.",
  },
  compare: {
    same: "Alle Spalten beginnen mit demselben Rauschen ε und gehen von t = 1 nach t = 0 in die Richtung v, die das Netz angibt. Sie unterscheiden sich nur in dem, was über ihnen eingestellt ist; jeder Unterschied kommt also daher.",
    samplers: "Euler nimmt die Richtung am Anfang eines Schrittes für den ganzen. Heun sieht an dessen Ende noch einmal nach und nimmt das Mittel, was das Doppelte kostet. Der stochastische Sampler gibt bei jedem Schritt neues Rauschen dazu und nimmt es wieder weg:",
    distance: "Abstände sind das quadratische Mittel der Unterschiede aller n Zahlen zweier Latents, gemessen in der Standardabweichung s der Latents der Trainingsbilder. Zwei Bilder, die nichts miteinander zu tun haben, liegen etwa 1 bis 1,4 auseinander:",
    own: "Der Abstand zum eigenen Ende sagt, wann ein Lauf sich entschieden hat: x̂0 ist lange vor dem Zustand am Ziel.",
  },
  machine: {
    cost: "Was ein Bild kostet, ist schon vor dem Messen bekannt. Ein Block eines Transformers mit L Token der Breite d braucht etwa so viele Gleitkommaoperationen (FLOP), der erste Teil davon in den linearen Schichten, der zweite in der Attention:",
    short: "Darum lohnt sich ein Tokenizer mit wenigen Token: Halb so viele halbieren den ersten Teil und vierteln den zweiten. Das beigelegte Modell kommt mit wenigen aus, wo Felder von Pixeln viele bräuchten.",
    rate: "Eine Zeit allein sagt wenig. Der Durchsatz einer linearen Schicht mit M Zeilen, von K auf N Spalten, sagt, wie nah das Gerät dem kommt, was es kann; t ist die mittlere Zeit:",
    ratio: "Das Verhältnis sagt, wievielmal so lange die Rechenschritte der Bibliothek darunter für dieselbe Arbeit brauchen. Auf dem Prozessor gibt es im Browser einen einzigen Thread; ein Adapter in Software ahmt einen Grafikprozessor nur nach.",
    safety: "Die Programme für den Grafikprozessor, Kernels genannt, werden bei seinem ersten Gebrauch an eigenen Zahlen geprüft; ein falsches wird namentlich ausgelassen. Geht das Gerät mitten in einem Lauf verloren, geht der Lauf nach seinem letzten Schritt weiter, bis zum selben Bild.",
  },
};
