//! The gradients of one update: pixels, features of hidden patches, the look of the picture, and the discriminator.
//!
//! `MSE + w_p P + features + w_a a G`, with `P` the perceptual term, `G` the generator's loss and `a` the adaptive
//! factor. The batch is computed in parts, side by side, in two strides. First every part reconstructs and sees how `P`
//! pulls at its pixels. Then, for the whole batch at once, the discriminator says how `G` pulls at them, and `a` follows
//! from both pulls: neither depends on how the batch was cut. Last, every part carries all pulls back to the weights.
//!
//! `P` and `G` read the reconstruction alone, so what reaches the weights is their gradient by it
//! ([`by_reconstruction`]), put in as `(reconstruction * gradient).sum()`: Burn allows one backward pass per graph.
//!
//! Source: the authors' training code (specification 5.1). Differs from it: where several devices share a batch there,
//! `a` is that of each device's share.

use std::sync::Arc;

use burn::tensor::{Tensor, s};

use super::Trained;
use super::batch::Part;
use super::networks::Networks;
use super::opponent::{Opponent, Pull, Shown};
use crate::Result;
use crate::nn::precision::{self, Precision};
use crate::tokenizer::TargetKind;
use crate::train::adversarial::AdversarialDraws;
use crate::train::devices::Devices;
use crate::train::hog;
use crate::train::losses::{Hidden, by_reconstruction, pixels};
use crate::train::objective::{Batch, Losses, Objective};
use crate::train::parallel::{Crew, Slope, Values, number};

/// What is minimised at one update.
pub struct Step<'a> {
    /// Weights of pixels and features.
    pub objective: Objective,
    /// Numbers of the products inside the model; the networks beside it compute in f32.
    pub precision: Precision,
    /// Who says what the features are and how pictures look, of every device.
    pub networks: &'a [Arc<Networks>],
    /// Weight of the perceptual term, 0 where it takes no part in this update.
    pub perceptual: f64,
    /// The adversarial term, its weight and its draws, where it takes part in this update; on the first device.
    pub opponent: Option<(&'a Opponent, f64, &'a AdversarialDraws)>,
    /// Autodiff devices; each gets equally many parts.
    pub devices: &'a Devices,
}

/// A part between the two strides.
struct Seen {
    losses: Losses,
    /// `[B, 3, H, W]`
    picture: Tensor<4>,
    /// Value and gradient by the reconstruction of the perceptual term, without its weight.
    perceptual: Option<(Tensor<1>, Tensor<4>)>,
    /// For the discriminator, already on its device: only this thread may wait for another machine.
    shown: Option<Shown>,
}

impl Step<'_> {
    /// Loss and gradients of the batch that `parts` make up, and what the discriminator is to learn from.
    ///
    /// `hidden` has the flags of every picture of the batch, `[B][N]`.
    ///
    /// # Errors
    /// As [`Crew::each`].
    pub fn gradients(
        &self,
        model: &Trained,
        parts: Vec<Part>,
        hidden: Option<&[Vec<bool>]>,
    ) -> Result<(Slope, Option<Shown>)> {
        let crew = Crew::new(model, parts.len(), self.devices);
        let share = crew.share();
        let with_masks = parts.into_iter().scan(0, |from, part| {
            let pictures = part.pictures.shape()[0];
            *from += pictures;
            Some((part, hidden.map(|masks| &masks[*from - pictures..*from])))
        });
        let mut seen = crew
            .each(with_masks.collect(), |model, (part, hidden), number| self.see(model, part, hidden, share, number))?;

        let shown: Option<Vec<Shown>> = seen.iter_mut().map(|seen| seen.shown.take()).collect();
        let shown = shown.map(Shown::side_by_side);
        let pull = self
            .opponent
            .zip(shown.as_ref())
            .map(|((opponent, weight, draws), shown)| opponent.pull(shown, draws, weight));
        let slopes = crew.each(seen.into_iter().enumerate().collect(), |model, (at, seen), number| {
            let (value, values, loss) = self.carry_back(seen, share, pull.as_ref().map(|pull| (pull, at)), number);
            (value, values, crew.gradients(model, &loss))
        })?;
        let (mut value, mut values, grads) = crew.sum(slopes);
        if let Some(pull) = &pull {
            value += pull.scale() * pull.loss;
            values.extend([("generator", pull.loss), ("adaptive", pull.factor)]);
        }
        Ok(((value, values, grads), shown))
    }

    fn see(&self, model: &Trained, part: Part, hidden: Option<&[Vec<bool>]>, share: f64, number: usize) -> Seen {
        let (device, networks) = (&self.devices.all()[number], &self.networks[number]);
        let picture = Tensor::<4>::from_data(part.pictures, device); // [B, 3, H, W]
        let mut targets = Vec::new();
        if self.objective.asks_for_targets(hidden.is_some()) {
            if model.auxiliary.get(TargetKind::Hog).is_some() {
                targets.push((TargetKind::Hog, hog::targets(picture.clone(), model.tokenizer.patch_size())));
            }
            targets.extend(networks.teachers.targets(&picture));
        }
        let batch = Batch {
            picture: picture.clone(),
            hidden: hidden.map(|masks| Hidden::new(masks, device)),
            targets,
            noise: part.noise.map(|noise| Tensor::from_data(noise, device)),
            drop_path: part.drop_path,
        };
        let losses =
            precision::within(self.precision, || self.objective.losses(&model.tokenizer, &model.auxiliary, batch));
        let perceptual = networks
            .perceptual
            .as_ref()
            .filter(|_| self.perceptual > 0.0)
            .map(|network| by_reconstruction(&losses.reconstruction, |copy| network.mean(copy, picture.clone())));
        let mut seen = Seen { losses, picture, perceptual, shown: None };
        seen.shown = self.opponent.is_some().then(|| self.show(&seen, share));
        seen
    }

    /// The part as the discriminator sees it, on the first device.
    fn show(&self, seen: &Seen, share: f64) -> Shown {
        let home = self.devices.main().clone().inner();
        let Seen { losses: Losses { reconstruction, tokens, .. }, picture, perceptual, .. } = seen;
        let (_, mut gradient) = by_reconstruction(reconstruction, |copy| pixels(copy, picture.clone()));
        if let Some((_, perceptual)) = perceptual {
            gradient = gradient + perceptual.clone() * self.perceptual;
        }
        Shown {
            picture: picture.clone().inner().to_device(&home),
            reconstruction: reconstruction.clone().inner().to_device(&home),
            tokens: tokens.clone().inner().to_device(&home),
            gradient: (gradient * share).to_device(&home),
        }
    }

    /// The part's share of the loss, what it is made of, and what has the gradients of all its terms; `pull` comes with
    /// the place of the part.
    fn carry_back(
        &self,
        seen: Seen,
        share: f64,
        pull: Option<(&Pull, usize)>,
        number_of_device: usize,
    ) -> (f64, Values, Tensor<1>) {
        let Losses { total, parts, reconstruction, .. } = seen.losses;
        let mut loss = total * share;
        let mut value = number(loss.clone());
        let mut values: Values = parts.into_iter().map(|(name, part)| (name, number(part) * share)).collect();
        if let Some((distance, gradient)) = seen.perceptual {
            let distance = number(distance) * share;
            value += self.perceptual * distance;
            values.push(("perceptual", distance));
            loss = loss + (reconstruction.clone() * gradient).sum() * (self.perceptual * share);
        }
        if let Some((pull, at)) = pull {
            let [pictures, ..] = reconstruction.dims();
            let here = self.devices.all()[number_of_device].clone().inner();
            let gradient = pull.gradient.clone().slice(s![at * pictures..(at + 1) * pictures]).to_device(&here);
            loss = loss + (reconstruction * gradient).sum() * pull.scale();
        }
        (value, values, loss)
    }
}
