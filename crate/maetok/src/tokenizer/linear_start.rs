//! A start that already reconstructs: the whole tokenizer begins as the best linear code of blocks of patches.
//!
//! A masked autoencoder spends its first hours finding out which latent token should look at which patches, and which
//! directions of a patch are worth a number. Both can be written down: the first block of the encoder moves the
//! principal components of the patches under a latent token into that token, the first block of the decoder moves
//! them back, and the linear layers between are solved for by least squares on pictures of the training set. All other
//! branches start small. Nothing is fixed: training moves all of it.
//!
//! The rows of width `D` are divided into a part for content and two for places, one that the image tokens' sinusoids
//! use and one for the latent tokens', so that a query can ask for one kind of token and the other kind stays silent.
//! A latent token stands for a block of `m = N / L` patches; head `r` of the first block carries the `r`-th of them.
//! In the decoder a patch is the `r`-th of its block for one `r` only. Its other heads must bring nothing: there no
//! latent token stands where they look, and the softmax falls back on the image tokens, which have no content yet.
//!
//! Source: our own.

use burn::module::Param;
use burn::tensor::{Device, Tensor, s};
use nalgebra::{DMatrix, DVector};

use super::Tokenizer;
use super::config::{TokenizerConfig, VitSize};
use super::least_squares::{Affine, Sums, host, matrix, rows, vector};
use super::spatial_start::{Places, start_blocks};
use super::vit::Block;
use crate::nn::patchify;
use crate::{Error, Result};

/// Score between the place a head looks at and the next one, before softmax.
const SHARPNESS: f64 = 10.0;
/// Score of the latent token looked at over that of an image token, in the decoder; there are many image tokens.
const OVER_SILENCE: f64 = 9.0;
/// Sinusoids of places, against content of about half that size: the layer norm then hardly depends on the content,
/// and the whole stays nearly linear.
const PLACE_SIZE: f64 = 2.0;
/// Mean square of a token's content over that of its place.
const CONTENT_SHARE: f64 = 0.25;
/// Size of all branches but the first block's attention.
const SMALL: f64 = 0.1;
/// Pictures that go through at once.
const BATCH: usize = 64;
/// Logarithm of the variance of the variational posterior at the start.
const LOG_VARIANCE: f64 = -6.0;

impl Tokenizer {
    /// Replaces fresh weights by the start of the module text, fitted to `pictures`.
    ///
    /// # Shapes
    /// - `pictures`: `[n, 3, H, W]` in [-1, 1]; a thousand are enough, and fewer than some tens overfit
    ///
    /// # Errors
    /// [`Error::Config`] if the sizes leave no room for it: latent tokens must divide the patches into blocks of no more
    /// patches than there are heads, and the decoder needs absolute positions. [`Error::Training`] if the pictures are
    /// so few or so alike that nothing can be fitted to them.
    pub fn with_linear_start(mut self, config: &TokenizerConfig, pictures: &Tensor<4>) -> Result<Self> {
        let layout = Layout::of(config)?;
        let device = self.quant_conv.weight.device();
        let batches: Vec<Tensor<4>> = pictures.clone().split(BATCH, 0);
        let patch_size = config.patch_size;

        self.start_encoder(config, &layout, &batches, &device)?;
        let blocks = |picture: Tensor<4>| layout.blocks(patchify(picture, patch_size));
        let mut sums = Sums::default();
        for batch in &batches {
            sums.add(rows(self.encoder.forward(batch.clone(), None, &mut ())), rows(blocks(batch.clone())));
        }
        let mut latents = sums.reduced_rank(config.latent_channels)?;
        if config.kl {
            // The posterior starts narrow, whatever the picture.
            latents.weight = latents.weight.resize_horizontally(2 * config.latent_channels, 0.0);
            latents.bias = latents.bias.resize_vertically(2 * config.latent_channels, LOG_VARIANCE);
        }
        self.quant_conv = latents.into_linear(&device);

        self.start_decoder(config, &layout, &device);
        let mut sums = Sums::default();
        for batch in &batches {
            let z = self.encode(batch.clone(), None);
            let tokens = self.decoder.forward(self.post_quant_conv.forward(z.clone()), z, None, &mut ());
            sums.add(rows(tokens), rows(patchify(batch.clone(), patch_size)));
        }
        if let Some(to_pixel) = self.decoder.to_pixel.as_mut() {
            to_pixel.model = sums.regression()?.into_linear(&device);
        }
        Ok(self)
    }

    fn start_encoder(
        &mut self,
        config: &TokenizerConfig,
        layout: &Layout,
        batches: &[Tensor<4>],
        device: &Device,
    ) -> Result<()> {
        let VitSize { width, .. } = config.encoder;
        let vit = &mut self.encoder.model;

        let mut sums = Sums::default();
        for batch in batches {
            // The convolution's order of a patch's values: channel, row, column.
            let patches = vit.patch_embed.patches(batch.clone());
            sums.add(patches.clone(), patches);
        }
        let embedding = sums.principal(layout.keep, layout.content_square())?;
        let values = embedding.weight.nrows();
        let weight = embedding.weight.transpose().resize(width, values, 0.0); // [D, 3*p*p]
        vit.patch_embed.proj.weight =
            Param::from_tensor(matrix(&weight, device).reshape([width, 3, config.patch_size, config.patch_size]));
        let bias = embedding.bias.resize_vertically(width, 0.0);
        vit.patch_embed.proj.bias = Param::from_tensor(vector(&bias, device));

        vit.cls_token = Param::from_tensor(Tensor::zeros([1, 1, width], device));
        vit.pos_embed = Param::from_tensor(layout.image_places(width, device));
        self.encoder.latent_tokens = Param::from_tensor(Tensor::zeros([1, config.latent_tokens, width], device));
        self.encoder.latent_pos_embed = Param::from_tensor(layout.latent_places(width, 0.0, device));
        // A hidden patch has the content of the mean patch.
        self.encoder.mask_token = config.token_drop.map(|_| Param::from_tensor(Tensor::zeros([1, 1, width], device)));

        quieten(&mut vit.blocks, config.encoder, device);
        let image = layout.place_square() + layout.content_square();
        let gains = Gains { query: gain(width, layout.place_square()), key: gain(width, image) };
        let wires: Vec<Wire> = layout
            .offsets
            .iter()
            .enumerate()
            .map(|(head, offset)| Wire {
                query: layout.latent_at,
                key: layout.image_at,
                shift: *offset,
                to: head * layout.keep,
                silence: None,
            })
            .collect();
        layout.connect(&mut vit.blocks[0], config.encoder, &wires, gains, device);
        if let Some(scale) = &mut vit.blocks[0].ls1 {
            scale.gamma = Param::from_tensor(Tensor::ones([width], device));
        }
        still(&mut self.encoder.freqs, layout.offsets.len(), config.encoder);
        Ok(())
    }

    fn start_decoder(&mut self, config: &TokenizerConfig, layout: &Layout, device: &Device) {
        let (VitSize { width, .. }, channels) = (config.decoder, config.latent_channels);
        let flag = layout.flag_size();
        let size = (layout.content_square() / channels as f64).sqrt();
        let weight = DMatrix::identity(channels, width) * size;
        self.post_quant_conv = Affine { weight, bias: DVector::zeros(width) }.into_linear(device);

        let decoder = &mut self.decoder;
        decoder.mask_token = Param::from_tensor(Tensor::zeros([1, 1, width], device));
        decoder.latent_pos_embed = Param::from_tensor(layout.latent_places(width, flag, device));
        decoder.model.pos_embed = Some(Param::from_tensor(layout.image_places(width, device)));
        if let Some(cls) = &mut decoder.model.cls_token {
            *cls = Param::from_tensor(Tensor::zeros([1, 1, width], device));
        }

        quieten(&mut decoder.model.blocks, config.decoder, device);
        let latent = layout.place_square() + flag * flag + layout.content_square();
        let gains = Gains { query: gain(width, layout.place_square()), key: gain(width, latent) };
        let wires: Vec<Wire> = layout
            .offsets
            .iter()
            .enumerate()
            .map(|(head, [x, y])| Wire {
                query: layout.image_at,
                key: layout.latent_at,
                shift: [-x, -y],
                to: head * layout.keep,
                silence: Some(flag),
            })
            .collect();
        layout.connect(&mut decoder.model.blocks[0], config.decoder, &wires, gains, device);
        still(&mut decoder.freqs, layout.offsets.len(), config.decoder);
    }
}

/// Which of a row's `D` values mean what, and where patches and latent tokens stand.
struct Layout {
    places: Places,
    /// Places of a block's patches, from its middle.
    offsets: Vec<[f64; 2]>,
    /// Columns and rows of patches in a block.
    block: [usize; 2],
    /// Components of a patch that a head carries.
    keep: usize,
    /// First value of the image tokens' sinusoids.
    image_at: usize,
    /// First value of the latent tokens' sinusoids.
    latent_at: usize,
    /// The value that tells latent tokens from others in the decoder.
    flag_at: usize,
    /// Frequencies of an axis, radians per patch.
    frequencies: Vec<f64>,
}

impl Layout {
    fn of(config: &TokenizerConfig) -> Result<Self> {
        let places = Places::of(config);
        let across = config.image_size / config.patch_size;
        let [columns, rows] = places.latent_grid;
        if !across.is_multiple_of(columns) || !across.is_multiple_of(rows) {
            return Err(Error::config("num_latent_tokens", config.latent_tokens, "a divisor of the number of patches"));
        }
        let block = [across / columns, across / rows];
        let routes = block[0] * block[1];
        let width = config.encoder.width;
        let heads = config.encoder.heads.min(config.decoder.heads);
        let dim = width / config.encoder.heads.max(config.decoder.heads);
        let place = |i: usize, of: usize| i as f64 + 0.5 - of as f64 / 2.0;
        let offsets = (0..routes).map(|i| [place(i % block[0], block[0]), place(i / block[0], block[1])]).collect();
        let keep = dim.min(width / 2 / routes).min(3 * config.patch_size.pow(2));
        let content = keep * routes;
        let per_axis = ((width - content).saturating_sub(1) / 2).min(dim.saturating_sub(1)) / 4;
        if config.decoder.width != width || routes > heads || config.latent_channels > keep || per_axis < 3 {
            return Err(Error::config(
                "encoder_size",
                format!("{}×{}, blocks of {routes} patches", width, config.encoder.heads),
                "both sides of one width, with a head for every patch of a block and room for the latent's channels",
            ));
        }
        if !config.use_ape {
            return Err(Error::config("use_ape", false, "true: image tokens of the decoder are told apart by it"));
        }
        // From nearly a turn in two patches to a turn in three pictures.
        let (high, low) = (2.8f64, std::f64::consts::TAU / (3 * across) as f64);
        let step = (low / high).powf(1.0 / (per_axis - 1) as f64);
        let frequencies: Vec<f64> = (0..per_axis as i32).map(|i| high * step.powi(i)).collect();
        let size = 4 * per_axis;
        Ok(Self {
            places,
            offsets,
            block,
            keep,
            image_at: content,
            latent_at: content + size,
            flag_at: content + 2 * size,
            frequencies,
        })
    }

    /// Length of a place's code.
    fn code(&self) -> usize {
        4 * self.frequencies.len()
    }

    /// Sum of squares of a place's code in a row.
    fn place_square(&self) -> f64 {
        PLACE_SIZE * PLACE_SIZE * self.code() as f64 / 2.0
    }

    /// Mean sum of squares of a token's content.
    fn content_square(&self) -> f64 {
        CONTENT_SHARE * self.place_square()
    }

    fn flag_size(&self) -> f64 {
        PLACE_SIZE
    }

    /// `sin, cos` of the column and of the row, for every frequency.
    fn sinusoids<'a>(&'a self, [x, y]: [f64; 2]) -> impl Iterator<Item = f64> + 'a {
        self.frequencies.iter().flat_map(move |w| [(w * x).sin(), (w * x).cos(), (w * y).sin(), (w * y).cos()])
    }

    /// Likeness of the codes of two places, one `offset` from the other.
    fn likeness(&self, [x, y]: [f64; 2]) -> f64 {
        self.frequencies.iter().map(|w| (w * x).cos() + (w * y).cos()).sum()
    }

    fn image_places(&self, width: usize, device: &Device) -> Tensor<3> {
        let mut rows = DMatrix::zeros(self.places.patches.len() + 1, width); // the class token has no place
        for (n, place) in self.places.patches.iter().enumerate() {
            for (i, value) in self.sinusoids(*place).enumerate() {
                rows[(n + 1, self.image_at + i)] = PLACE_SIZE * value;
            }
        }
        matrix(&rows, device).unsqueeze()
    }

    fn latent_places(&self, width: usize, flag: f64, device: &Device) -> Tensor<3> {
        let mut rows = DMatrix::zeros(self.places.latents.len(), width);
        for (l, place) in self.places.latents.iter().enumerate() {
            for (i, value) in self.sinusoids(*place).enumerate() {
                rows[(l, self.latent_at + i)] = PLACE_SIZE * value;
            }
            rows[(l, self.flag_at)] = flag;
        }
        matrix(&rows, device).unsqueeze()
    }

    /// `[B, N, V] -> [B, L, m*V]`: the patches of every block side by side, in the order of the offsets.
    fn blocks(&self, patches: Tensor<3>) -> Tensor<3> {
        let [batch, _, values] = patches.dims();
        let [columns, rows] = self.places.latent_grid;
        let [wide, high] = self.block;
        patches.reshape([batch, rows, high, columns, wide, values]).permute([0, 1, 3, 2, 4, 5]).reshape([
            batch,
            rows * columns,
            high * wide * values,
        ])
    }

    /// Makes the attention of `block` carry content along `wires`, one head each.
    fn connect(&self, block: &mut Block, size: VitSize, wires: &[Wire], gains: Gains, device: &Device) {
        let VitSize { width, heads, .. } = size;
        let dim = width / heads;
        let mut qkv = host(block.attn.qkv.weight.val()); // [D, 3D]
        let mut bias = DVector::zeros(3 * width);
        let mut proj = host(block.attn.proj.weight.val()); // [D, D]

        // Score = strength * likeness, so that the next place is SHARPNESS below.
        let (here, next) = (self.likeness([0.0, 0.0]), self.likeness([1.0, 0.0]));
        let strength = SHARPNESS / (here - next);
        let factor = strength * (dim as f64).sqrt() / (gains.query * gains.key * PLACE_SIZE * PLACE_SIZE);
        for (head, wire) in wires.iter().enumerate() {
            for part in 0..3 {
                qkv.columns_mut(part * width + head * dim, dim).fill(0.0);
            }
            proj.rows_mut(head * dim, dim).fill(0.0);
            let [query, key, value] = [0, 1, 2].map(|part| part * width + head * dim);
            for (pair, (frequency, axis)) in self.frequencies.iter().flat_map(|w| [(w, 0), (w, 1)]).enumerate() {
                // The code of a place shifted: its pairs turned.
                let (sin, cos) = (frequency * wire.shift[axis]).sin_cos();
                let (at, to) = (wire.query + 2 * pair, query + 2 * pair);
                qkv[(at, to)] = factor * cos;
                qkv[(at + 1, to)] = factor * sin;
                qkv[(at, to + 1)] = -factor * sin;
                qkv[(at + 1, to + 1)] = factor * cos;
                for i in 0..2 {
                    qkv[(wire.key + 2 * pair + i, key + 2 * pair + i)] = 1.0;
                }
            }
            if let Some(flag) = wire.silence {
                let excess = strength * here - OVER_SILENCE;
                bias[query + self.code()] = 1.0;
                qkv[(self.flag_at, key + self.code())] = -excess * (dim as f64).sqrt() / (gains.key * flag);
            }
            for i in 0..self.keep {
                qkv[(i, value + i)] = 1.0 / gains.key;
                proj[(head * dim + i, wire.to + i)] = 1.0;
            }
        }
        block.attn.qkv = Affine { weight: qkv, bias }.into_linear(device);
        block.attn.proj = Affine { weight: proj, bias: DVector::zeros(width) }.into_linear(device);
    }
}

/// A head that carries content from the tokens it finds to the token that asks.
struct Wire {
    /// First value of the asking token's place.
    query: usize,
    /// First value of the found token's place.
    key: usize,
    /// Where it looks, from where it stands, in patches.
    shift: [f64; 2],
    /// First value that the content, a token's first values, is put to.
    to: usize,
    /// Size of the flag by which tokens without one win where nothing stands at the place looked at.
    silence: Option<f64>,
}

/// What the layer norm multiplies by.
#[derive(Clone, Copy)]
struct Gains {
    query: f64,
    key: f64,
}

/// Gain of a layer norm on rows of `width` values with this sum of squares.
fn gain(width: usize, square: f64) -> f64 {
    (width as f64 / square).sqrt()
}

/// The spatial start, with every branch small.
fn quieten(blocks: &mut [Block], size: VitSize, device: &Device) {
    start_blocks(blocks, size, device);
    for block in blocks {
        match (&mut block.ls1, &mut block.ls2) {
            (Some(first), Some(second)) => {
                for scale in [first, second] {
                    scale.gamma = Param::from_tensor(Tensor::full([size.width], SMALL, device));
                }
            }
            _ => {
                for linear in [&mut block.attn.proj, &mut block.mlp.fc2] {
                    linear.weight = Param::from_tensor((linear.weight.val() * SMALL).detach());
                }
            }
        }
    }
}

/// Stops the rotation of the first block's first `heads` heads: their places are absolute.
fn still(freqs: &mut Option<Param<Tensor<3>>>, heads: usize, size: VitSize) {
    if let Some(freqs) = freqs {
        let pairs = size.width / size.heads / 2;
        let zero = Tensor::zeros([2, 1, heads * pairs], &freqs.device());
        *freqs = Param::from_tensor(freqs.val().slice_assign(s![.., 0..1, 0..heads * pairs], zero).detach());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Distribution, Int};

    /// Smooth pictures with an edge: waves of a few directions, one colour each.
    fn pictures(count: usize, size: usize, device: &Device) -> Tensor<4> {
        let grid = |dim: usize| {
            let line = Tensor::<1, Int>::arange(0..size as i64, device).float() / size as f64;
            let mut shape = [1, 1, 1, 1];
            shape[dim] = size;
            line.reshape(shape)
        };
        let random =
            |low: f64, high: f64| Tensor::<4>::random([count, 3, 1, 1], Distribution::Uniform(low, high), device);
        let phase = grid(3) * random(-6.0, 6.0) + grid(2) * random(-6.0, 6.0) + random(0.0, 6.0);
        let edge = (grid(3) - random(0.2, 0.8)).sign() * 0.3;
        phase.sin() * 0.6 + edge
    }

    fn psnr(tokenizer: &Tokenizer, pictures: Tensor<4>) -> f64 {
        let back = tokenizer.decode(tokenizer.encode(pictures.clone(), None));
        10.0 * (4.0 / f64::from((back - pictures).square().mean().into_scalar::<f32>())).log10()
    }

    #[test]
    fn it_reconstructs_unseen_pictures_before_any_training() {
        let device = Device::flex();
        let config = TokenizerConfig::toon_64();
        let (fitted, unseen) = (pictures(128, 64, &device), pictures(32, 64, &device));
        let fresh = config.init(&device).unwrap();
        let spatial = psnr(&fresh.clone().with_spatial_start(&config), unseen.clone());
        let linear = psnr(&fresh.with_linear_start(&config, &fitted).unwrap(), unseen);
        assert!(linear > spatial + 12.0 && linear > 24.0, "linear {linear:.1} dB, spatial {spatial:.1} dB");
    }

    #[test]
    fn each_latent_tells_of_its_own_block_and_hidden_patches_look_like_the_mean() {
        let device = Device::flex();
        let config = TokenizerConfig::toon_64();
        let fitted = pictures(64, 64, &device);
        let tokenizer = config.init(&device).unwrap().with_linear_start(&config, &fitted).unwrap();
        let picture = fitted.slice(s![0..1, .., .., ..]);
        // The patches at row 2, columns 2 and 3 are the block of latent token 2 * 4 + 1.
        let changed = picture.clone().slice_assign(s![.., .., 16..24, 16..32], Tensor::ones([1, 3, 8, 16], &device));
        let moved = (tokenizer.encode(changed, None) - tokenizer.encode(picture, None)).square().sum_dim(2);
        let moved: Vec<f32> = moved.into_data().try_to_vec().unwrap();
        let own = moved[9];
        let most = moved.iter().enumerate().filter(|(l, _)| *l != 9).map(|(_, v)| *v).fold(0.0, f32::max);
        assert!(own > 4.0 * most, "token 9 moved by {own}, another by {most}");
    }

    #[test]
    fn the_variational_variant_starts_with_a_narrow_posterior() {
        let device = Device::flex();
        let config = TokenizerConfig { kl: true, token_drop: None, ..TokenizerConfig::toon_64() };
        let (fitted, unseen) = (pictures(128, 64, &device), pictures(8, 64, &device));
        let tokenizer = config.init(&device).unwrap().with_linear_start(&config, &fitted).unwrap();
        let posterior = tokenizer.posterior(unseen.clone()).unwrap();
        assert_eq!(posterior.log_variance.max().into_scalar::<f32>(), LOG_VARIANCE as f32);
        assert!(psnr(&tokenizer, unseen) > 24.0);
    }

    #[test]
    fn few_and_flat_pictures_are_fitted_or_refused_but_never_break_it() {
        let device = Device::flex();
        let config = TokenizerConfig::toon_64();
        let flat = |value: f32, count: usize| Tensor::<4>::full([count, 3, 64, 64], value, &device);
        let boxed =
            flat(1.0, 16).slice_assign(s![0..1, 0..1, 8..24, 8..24], Tensor::full([1, 1, 16, 16], -1.0, &device));
        let noise = Tensor::<4>::random([2, 3, 64, 64], Distribution::Uniform(-1.0, 1.0), &device);
        let two = Tensor::cat(vec![flat(0.5, 8), flat(-0.25, 8)], 0);
        for few in [flat(-1.0, 16), flat(1.0, 1), boxed, noise, two, pictures(1, 64, &device)] {
            match config.init(&device).unwrap().with_linear_start(&config, &few) {
                Ok(tokenizer) => assert!(psnr(&tokenizer, few).is_finite()),
                Err(error) => assert!(matches!(error, Error::Training { .. }), "{error}"),
            }
        }
    }

    #[test]
    fn sizes_without_room_for_it_are_refused() {
        let device = Device::flex();
        let few = pictures(2, 64, &device);
        for config in [
            TokenizerConfig { latent_tokens: 3, ..TokenizerConfig::toon_64() },
            TokenizerConfig { latent_tokens: 4, ..TokenizerConfig::toon_64() },
            TokenizerConfig { use_ape: false, decoder_class_token: false, ..TokenizerConfig::toon_64() },
        ] {
            let refused = config.init(&device).unwrap().with_linear_start(&config, &few);
            assert!(matches!(refused, Err(Error::Config { .. })), "{config:?}");
        }
    }
}
