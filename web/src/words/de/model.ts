/** Names out of the models that come with the page. Proper names, and the classes of other models, stay as they are. */

export const GROUPS: Readonly<Record<string, string>> = { Avatars: "Avatare", Emoji: "Emojis" };

export const CLASSES: Readonly<Record<string, string>> = {
  Adventurer: "Abenteurer",
  "Aircraft, Rockets and Ships": "Flugzeuge, Raketen und Schiffe",
  "Big Ears": "Große Ohren",
  "Big Smile": "Breites Lächeln",
  Birds: "Vögel",
  "Buildings and Places": "Gebäude und Orte",
  Clothing: "Kleidung",
  "Flowers and Plants": "Blumen und Pflanzen",
  "Fruit and Vegetables": "Obst und Gemüse",
  Hearts: "Herzen",
  "Insects and Reptiles": "Insekten und Reptilien",
  "Land Vehicles": "Fahrzeuge",
  Mammals: "Säugetiere",
  "Meals, Sweets and Drinks": "Speisen, Süßes und Getränke",
  "Monsters and Fantasy": "Monster und Fantasie",
  "Pixel Art": "Pixelkunst",
  "Sea Animals": "Meerestiere",
  "Sky and Weather": "Himmel und Wetter",
  Thumbs: "Daumen",
  "Toon Head": "Comicköpfe",
};
