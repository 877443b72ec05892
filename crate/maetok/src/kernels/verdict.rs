//! What was found out about an adapter, as text for the next start: testing takes longer than reading.
//!
//! The text counts only for the adapter, the kernels and the version of this crate that it was written for, and only as
//! it was written: its first line is a digest of all four. It is no secret, so whoever may write the text can forge it;
//! what is gained is that a damaged, an old or a foreign one means testing again, never a wrong picture.

use burn::tensor::Device;

use super::choice::{self, Family, Profile, Tiles};
use super::self_test::Check;
use crate::checkpoint::sha256_hex;

/// What the self-test found out about an adapter.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Verdict {
    /// The families to leave out, each with its fault.
    pub faults: Vec<Check>,
    /// Which of two kernels was faster; `None` where nobody measured and the table decides.
    pub tiles: Option<Tiles>,
}

/// Begins the line that says for which steps tiles won.
const TILES: &str = "tiles";

impl Verdict {
    /// Makes the kernels' choice go by this, on the adapter of `device`.
    pub fn take_effect(&self, device: &Device, hardware: bool) {
        let tiles = self.tiles.unwrap_or(Tiles::by_table(hardware));
        choice::remember(device, Profile { tiles, disabled: self.faults.iter().map(|check| check.family).collect() });
    }

    /// Leaves out what the device refused after it was tested: `NAME: WHY`, each with the name of a kernel. Names of
    /// kernels that are not ours say nothing here. On a software adapter the family for GPUs, which would take its place,
    /// has not been tested and goes too.
    pub fn refuse(&mut self, refused: &[String], hardware: bool) {
        for check in refused.iter().filter_map(|refused| fault(refused)) {
            let next = check.family.for_gpus().filter(|_| !hardware);
            let next =
                next.map(|family| Check { family, fault: Some("its stand-in, which was not tested".to_owned()) });
            for check in [Some(check), next].into_iter().flatten() {
                if self.faults.iter().all(|known| known.family != check.family) {
                    self.faults.push(check);
                }
            }
        }
    }

    /// The text to keep for `adapter`, in whatever words name it.
    pub fn text(&self, adapter: &str) -> String {
        let mut body = String::new();
        if let Some(Tiles { linear, attention, .. }) = self.tiles {
            let won = |yes, step| if yes { step } else { "" };
            body = format!("{TILES}:{}{}\n", won(linear, " linear"), won(attention, " attention"));
        }
        for Check { family, fault } in &self.faults {
            let fault = fault.as_deref().unwrap_or_default().replace(char::is_control, " ");
            body += &format!("{}: {fault}\n", family.name());
        }
        format!("{}\n{body}", digest(adapter, &body))
    }

    /// What [`text`](Self::text) said; `None` for anything else.
    pub fn recalled(text: &str, adapter: &str) -> Option<Self> {
        let (stamp, body) = text.split_once('\n')?;
        if stamp != digest(adapter, body) {
            return None;
        }
        let mut verdict = Self::default();
        for line in body.lines() {
            match line.split_once(':') {
                Some((TILES, won)) => {
                    let won = |step| won.contains(step);
                    verdict.tiles =
                        Some(Tiles { linear: won("linear"), attention: won("attention"), ..Tiles::by_table(true) });
                }
                _ => verdict.faults.push(fault(line)?),
            }
        }
        Some(verdict)
    }
}

/// Reads `NAME: WHY`.
fn fault(line: &str) -> Option<Check> {
    let (name, why) = line.split_once(": ")?;
    Some(Check { family: Family::named(name)?, fault: Some(why.to_owned()) })
}

/// Of everything that a verdict depends on.
fn digest(adapter: &str, body: &str) -> String {
    let kernels = maetok_shaders::ALL.iter().map(|kernel| kernel.file);
    let parts: Vec<&str> = [env!("CARGO_PKG_VERSION"), adapter, body].into_iter().chain(kernels).collect();
    sha256_hex(parts.join("\0").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict() -> Verdict {
        let check = |family, fault: &str| Check { family, fault: Some(fault.to_owned()) };
        Verdict {
            faults: vec![
                check(Family::AttentionTiled, "number 3 is NaN, not 0.5"),
                check(Family::Vector, "no:\nline 2"),
            ],
            tiles: Some(Tiles { linear: false, attention: true, norm: true }),
        }
    }

    #[test]
    fn what_was_kept_comes_back_for_the_same_adapter_alone() {
        let text = verdict().text("a card");
        let mut want = verdict();
        want.faults[1].fault = Some("no: line 2".to_owned());
        assert_eq!(Verdict::recalled(&text, "a card"), Some(want));
        assert_eq!(Verdict::recalled(&text, "another card"), None);
        let clean = Verdict::default();
        assert_eq!(Verdict::recalled(&clean.text("a card"), "a card"), Some(clean));
    }

    #[test]
    fn what_was_changed_cut_or_made_up_is_not_believed() {
        let text = verdict().text("a card");
        let lines: Vec<&str> = text.lines().collect();
        for spoilt in [
            String::new(),
            "\n".to_owned(),
            text.replace("attention_tiled: number 3 is NaN, not 0.5\n", ""),
            text.replace("tiles: attention", "tiles: linear"),
            text[..text.len() - 1].to_owned(),
            lines[1..].join("\n"),
            format!("{text}vector_matrix: slow\n"),
            text.to_uppercase(),
        ] {
            assert_eq!(Verdict::recalled(&spoilt, "a card"), None, "{spoilt:?}");
        }
    }

    #[test]
    fn what_a_device_refused_later_is_left_out_once_and_by_family() {
        let refused = ["qk_prepare: no", "attention: no", "matmul_entry: no", "nonsense"].map(str::to_owned);
        for (hardware, left_out) in
            [(true, &[Family::Attention][..]), (false, &[Family::Attention, Family::AttentionTiled])]
        {
            let mut found = Verdict::default();
            found.refuse(&refused, hardware);
            let families: Vec<Family> = found.faults.iter().map(|check| check.family).collect();
            assert_eq!(families, left_out);
            assert_eq!(Verdict::recalled(&found.text("a card"), "a card"), Some(found));
        }
    }

    #[test]
    fn a_verdict_decides_which_kernel_is_taken() {
        let on = |verdict: &Verdict, device: &Device, hardware| {
            verdict.take_effect(device, hardware);
            let near = burn::tensor::Tensor::<1>::zeros([4], device);
            let device = super::super::launch::Buffer::of(&near).unwrap().device().clone();
            (choice::linear(&device, 100), choice::attention(&device, false), choice::norm(&device))
        };
        use Family::{Attention, AttentionTiled, LinearRegisters, LinearTiles, Norm, NormRows};
        for maetok_tests::TestDevice { device, label, .. } in maetok_tests::devices() {
            if label == "cpu" {
                continue;
            }
            let table = Verdict::default();
            assert_eq!(on(&table, &device, true), (Some(LinearTiles), Some(AttentionTiled), Some(Norm)));
            assert_eq!(on(&table, &device, false), (Some(LinearRegisters), Some(Attention), Some(NormRows)));
            let measured = Verdict { faults: Vec::new(), ..verdict() };
            assert_eq!(on(&measured, &device, true), (Some(LinearRegisters), Some(AttentionTiled), Some(Norm)));
            // A kernel that was left out stays so, however fast it was.
            assert_eq!(on(&verdict(), &device, true), (Some(LinearRegisters), Some(Attention), Some(Norm)));
            table.take_effect(&device, false);
        }
    }
}
