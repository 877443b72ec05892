//! From a Burn module's parameter path to the key of the official checkpoint.
//!
//! Field names are the checkpoint's names, so the path is the key but for what Rust cannot spell and for the auxiliary
//! decoders, whose parts the official model keeps side by side: `hog.decoder` is `decoder_hog` in a file.

/// How a parameter is stored in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stored {
    /// Official key.
    pub key: String,
    /// Burn keeps a linear layer's weight `[in, out]`, the file `[out, in]`.
    pub transposed: bool,
}

/// The place of a visitor in the module tree.
#[derive(Debug, Default)]
pub(super) struct Path {
    segments: Vec<(String, String)>,
}

impl Path {
    pub fn enter(&mut self, name: &str, container: &str) {
        self.segments.push((name.to_owned(), container.to_owned()));
    }

    pub fn exit(&mut self) {
        self.segments.pop();
    }

    /// Key and layout of the parameter at this place.
    pub fn stored(&self) -> Stored {
        let names: Vec<&str> = self
            .segments
            .iter()
            .filter(|(_, container)| !is_variant(container))
            .map(|(name, _)| name.as_str())
            .collect();
        let container = self.segments.last().map_or("", |(_, container)| container.as_str());
        Stored {
            key: file_key(&names, container),
            transposed: container == "Struct:Linear" && names.last() == Some(&"weight"),
        }
    }
}

/// The checkpoint's key of the parameter at module path `names`, whose last name is a field of `container`
/// (Burn's form, `Struct:Linear`).
pub fn file_key(names: &[&str], container: &str) -> String {
    let mut key = String::new();
    for (at, &name) in names.iter().enumerate() {
        let within = at.checked_sub(1).map(|before| names[before]);
        let last = at + 1 == names.len();
        if names.get(at + 1).is_some_and(|part| is_auxiliary(name, part)) {
            continue;
        }
        if !key.is_empty() {
            key.push('.');
        }
        key.push_str(match (within, name) {
            (_, "ada_ln_modulation") => "adaLN_modulation.1",
            (Some("t_embedder"), "mlp_in") => "mlp.0",
            (Some("t_embedder"), "mlp_out") => "mlp.2",
            // VGG16's convolutions keep their number among all layers; LPIPS's heads stand behind a dropout.
            (Some("slice1" | "slice2" | "slice3" | "slice4" | "slice5"), name) => {
                name.strip_prefix("conv").unwrap_or(name)
            }
            (Some("lin0" | "lin1" | "lin2" | "lin3" | "lin4"), "model") => "model.1",
            (_, "gamma") if last && container == "Struct:LayerNorm" => "weight",
            (_, "beta") if last && container == "Struct:LayerNorm" => "bias",
            // A keyword of Rust, as the derive macro spells it.
            (_, name) => name.trim_start_matches("r#"),
        });
        if let Some(target) = within.filter(|target| is_auxiliary(target, name)) {
            key.push('_');
            key.push_str(target);
        }
    }
    key
}

/// Whether a segment of a module path in this container (Burn's form, `Enum:Generator`) only says which variant of an
/// enum is there: files do not name it.
pub fn is_variant(container: &str) -> bool {
    container.starts_with("Enum:")
}

/// Whether `part` is the part of an auxiliary decoder that predicts `target`.
fn is_auxiliary(target: &str, part: &str) -> bool {
    matches!(target, "hog" | "dino" | "clip" | "efficientnet")
        && matches!(part, "post_quant_conv" | "decoder" | "to_pixel")
}

/// `key` without the segments that wrappers put in front: `module` (parallel training) and `_orig_mod` (compilation).
pub fn stripped(key: &str) -> String {
    let kept: Vec<&str> = key.split('.').filter(|s| !matches!(*s, "module" | "_orig_mod")).collect();
    kept.join(".")
}

/// Tensors that official files carry and every model derives itself: the patch coordinates of the rotary positions.
pub(super) fn is_derived(key: &str) -> bool {
    matches!(key.rsplit('.').next(), Some("freqs_t_x" | "freqs_t_y"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_become_official_keys() {
        let cases: [(&[&str], &str, &str); 15] = [
            (&["blocks", "3", "ada_ln_modulation", "weight"], "Struct:Linear", "blocks.3.adaLN_modulation.1.weight"),
            (&["t_embedder", "mlp_in", "bias"], "Struct:Linear", "t_embedder.mlp.0.bias"),
            (&["t_embedder", "mlp_out", "weight"], "Struct:Linear", "t_embedder.mlp.2.weight"),
            (&["block", "mlp_in", "bias"], "Struct:Linear", "block.mlp_in.bias"),
            (&["norm1", "gamma"], "Struct:LayerNorm", "norm1.weight"),
            (&["norm1", "beta"], "Struct:LayerNorm", "norm1.bias"),
            (&["ls1", "gamma"], "Struct:LayerScale", "ls1.gamma"),
            (&["net", "slice3", "conv12", "weight"], "Struct:Conv2d", "net.slice3.12.weight"),
            (&["lin4", "model", "weight"], "Struct:HeadWeight", "lin4.model.1.weight"),
            (&["block", "conv12", "model", "bias"], "Struct:Conv2d", "block.conv12.model.bias"),
            (&["heads", "0", "1", "r#fn", "0", "bias"], "Struct:SpectralConv", "heads.0.1.fn.0.bias"),
            (&["hog", "decoder", "mask_token"], "Struct:Decoder", "decoder_hog.mask_token"),
            (&["efficientnet", "post_quant_conv", "bias"], "Struct:Linear", "post_quant_conv_efficientnet.bias"),
            (&["auxiliary", "clip", "to_pixel", "weight"], "Struct:Linear", "auxiliary.to_pixel_clip.weight"),
            (&["decoder", "to_pixel", "model", "bias"], "Struct:Linear", "decoder.to_pixel.model.bias"),
        ];
        for (path, container, key) in cases {
            assert_eq!(file_key(path, container), key);
        }
    }

    #[test]
    fn wrapper_segments_vanish_wherever_they_stand() {
        assert_eq!(stripped("module.encoder.model.cls_token"), "encoder.model.cls_token");
        assert_eq!(stripped("_orig_mod.module.a.b"), "a.b");
        assert_eq!(stripped("encoder._orig_mod.freqs"), "encoder.freqs");
        assert_eq!(stripped("modules.a"), "modules.a");
    }

    #[test]
    fn variants_of_an_enum_are_no_part_of_the_key() {
        let mut path = Path::default();
        path.enter("Sit", "Enum:Generator");
        path.enter("x_embedder", "Struct:Sit");
        path.enter("weight", "Struct:Linear");
        assert_eq!(path.stored(), Stored { key: "x_embedder.weight".to_owned(), transposed: true });
    }

    #[test]
    fn only_linear_weights_are_transposed() {
        let stored = |name: &str, container: &str| {
            let mut path = Path::default();
            path.enter("fc1", "Struct:Mlp");
            path.enter(name, container);
            path.stored().transposed
        };
        assert!(stored("weight", "Struct:Linear"));
        assert!(!stored("bias", "Struct:Linear"));
        assert!(!stored("weight", "Struct:PatchProjection"));
    }
}
