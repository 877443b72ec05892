//! Figures side by side: one line for each piece of work in each place, ours first, each peer with its ratio to ours.

use std::fmt::Write as _;

use super::{Figure, LONGER, Measured, RANDOM, SHIPPED};

/// The "model" of figures of single kernels.
pub const KERNELS: &str = "kernels";

/// A piece of work of ours and what peers took for it.
pub struct Row<'a> {
    pub ours: &'a Measured,
    pub figure: &'a Figure,
    /// Engine, median in seconds, times as long as ours.
    pub peers: Vec<(&'a str, f64, f64)>,
}

/// The figures of ours in order, each with its peers: same place, kind, model and work.
pub fn rows(measured: &[Measured]) -> Vec<Row<'_>> {
    let mut rows = Vec::new();
    for ours in measured.iter().filter(|one| one.is_ours()) {
        let peers = measured.iter().filter(|other| {
            !other.is_ours() && other.place == ours.place && other.kind == ours.kind && other.model == ours.model
        });
        let peers: Vec<&Measured> = peers.collect();
        for figure in &ours.figures {
            // A layer's name ends with its kernel.
            let work = |figure: &Figure| figure.name.split(',').next().unwrap_or_default().to_owned();
            let of_peer = |peer: &&'_ Measured| {
                let found = peer.figures.iter().find(|other| work(other) == work(figure))?;
                Some((found.median(), found.median() / figure.median()))
            };
            let peers = peers
                .iter()
                .filter_map(|peer| of_peer(peer).map(|(median, ratio)| (peer.engine.as_str(), median, ratio)))
                .collect();
            rows.push(Row { ours, figure, peers });
        }
    }
    rows
}

/// The table in Markdown.
pub fn text(measured: &[Measured]) -> String {
    let mut text = String::from(
        "A step is one call of the generator for class and null class. Ours reads modulations that were made for 25 steps at once, peers make them in \
         every step; a picture of 25 steps has everything in it. Peers encode and decode numbers, ours pictures of bytes. Firefox looks after \
         WebGPU ten times a second: what takes it less than 100 ms shows as 100.\n\n",
    );
    text.push_str("| place | path | model | work | maetok, ms | peers, ms (times as long) | notes |\n");
    text.push_str("| --- | --- | --- | --- | ---: | --- | --- |\n");
    let roof = |ours: &Measured| {
        let same = measured.iter().filter(|one| one.is_ours() && one.place == ours.place && one.model == KERNELS);
        let adds = same.flat_map(|one| &one.figures).filter(|figure| figure.name.starts_with("multiply-adds"));
        adds.map(rate).reduce(f64::max)
    };
    for Row { ours, figure, peers } in rows(measured) {
        let peers: Vec<String> = peers
            .iter()
            .map(|(engine, median, ratio)| {
                // Where it is about as fast, a tenth would round to a verdict.
                let digits = if *ratio < 2.0 { 2 } else { 1 };
                format!("{engine} {:.2} ({ratio:.digits$} ×)", 1e3 * median)
            })
            .collect();
        let mut notes = Vec::new();
        if figure.flop > 0 {
            notes.push(format!("{:.1} GFLOP/s", rate(figure)));
            if let Some(roof) = roof(ours).filter(|_| !figure.name.starts_with("multiply-adds")) {
                notes.push(format!("{:.0} % of the roof", 100.0 * rate(figure) / roof));
            }
        }
        if figure.bytes > 0 && figure.flop == 0 {
            notes.push(format!("{:.1} GB/s", figure.bytes as f64 / figure.median() / 1e9));
        }
        if figure.dispatches > 1 {
            notes.push(format!("{} of our dispatches", figure.dispatches));
        }
        if !ours.left_out.is_empty() {
            notes.push(format!("left out: {}", ours.left_out.join("; ")));
        }
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {:.2} | {} | {} |",
            ours.place,
            ours.kind,
            ours.model,
            figure.name,
            1e3 * figure.median(),
            peers.join(", "),
            notes.join(", ")
        );
    }
    text
}

/// Start and memory, in Markdown: one line for each engine with each model in each place.
pub fn wholes(measured: &[Measured]) -> String {
    let mut text =
        String::from("| place | path | model | engine | nothing loaded to first picture, s | memory at most, MB |\n");
    text.push_str("| --- | --- | --- | --- | ---: | ---: |\n");
    for one in measured {
        let (cold, memory) = (one.whole.cold, one.whole.memory);
        if cold.is_none() && memory.is_none() {
            continue;
        }
        let cold = cold.map_or("-".to_owned(), |cold| format!("{cold:.2}"));
        let memory = memory.map_or("-".to_owned(), |memory| format!("{:.0}", memory as f64 / 1e6));
        let Measured { place, engine, kind, model, .. } = one;
        let _ = writeln!(text, "| {place} | {kind} | {model} | {engine} | {cold} | {memory} |");
    }
    text
}

/// What shorter latents are worth, in Markdown: a step of the same generator on few tokens and on many.
pub fn latents(measured: &[Measured]) -> String {
    let [(many, _), (small_many, _)] = LONGER;
    let mut text = String::from(
        "| place | path | generator | tokens | steps a second | tokens | steps a second | times as many |\n",
    );
    text.push_str("| --- | --- | --- | ---: | ---: | ---: | ---: | ---: |\n");
    for (few, many, name, tokens) in
        [(RANDOM, many, "SiT-XL, one block", [128, 1024]), (SHIPPED, small_many, "the included model's", [16, 64])]
    {
        for one in measured.iter().filter(|one| one.is_ours() && one.model == few) {
            let Measured { place, kind, .. } = one;
            let step = |one: &Measured| one.figures.iter().find(|figure| figure.name == "step").map(Figure::median);
            let other =
                measured.iter().find(|o| o.is_ours() && o.model == many && o.place == *place && o.kind == *kind);
            if let (Some(few), Some(many)) = (step(one), other.and_then(step)) {
                let [short, long] = tokens;
                let (few, many) = (1.0 / few, 1.0 / many);
                let _ = writeln!(
                    text,
                    "| {place} | {kind} | {name} | {short} | {few:.2} | {long} | {many:.2} | {:.1} |",
                    few / many
                );
            }
        }
    }
    text
}

/// Thousand million floating-point operations a second.
fn rate(figure: &Figure) -> f64 {
    figure.flop as f64 / figure.median() / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latents_are_compared_within_a_place() {
        let with =
            |model: &str, place: &str, seconds| Measured { model: model.into(), ..measured("maetok", place, seconds) };
        let (many, _) = LONGER[1];
        let text = latents(&[with(SHIPPED, "here", 0.25), with(many, "here", 1.0), with(many, "there", 9.0)]);
        assert!(text.ends_with("| here | cpu | the included model's | 16 | 4.00 | 64 | 1.00 | 4.0 |\n"), "{text}");
        assert_eq!(text.lines().count(), 3, "{text}");
    }

    #[test]
    fn what_could_not_be_measured_is_a_dash() {
        assert!(wholes(&[measured("maetok", "here", 1.0)]).ends_with("| here | cpu | toon | maetok | 2.00 | - |\n"));
    }

    fn measured(engine: &str, place: &str, seconds: f64) -> Measured {
        let figure = Figure { name: "step".into(), seconds: vec![seconds; 3], flop: 0, bytes: 0, dispatches: 0 };
        let whole = super::super::Whole { cold: Some(2.0), memory: None };
        let (place, engine, model) = (place.into(), engine.into(), "toon".into());
        Measured { place, engine, kind: "cpu", model, figures: vec![figure], whole, left_out: Vec::new() }
    }

    #[test]
    fn what_was_left_out_stands_beside_the_figure() {
        let ours = Measured { left_out: vec!["norm: refused".into()], ..measured("maetok", "here", 1.0) };
        assert!(text(&[ours]).ends_with("| 1000.00 |  | left out: norm: refused |\n"));
    }

    #[test]
    fn peers_are_those_of_the_same_place_and_ratios_are_to_ours() {
        let all = [measured("maetok", "here", 0.5), measured("peer", "here", 1.0), measured("peer", "there", 9.0)];
        let rows = rows(&all);
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0].peers, [("peer", 1.0, 2.0)]);
        assert!(
            text(&all).contains("| here | cpu | toon | step | 500.00 | peer 1000.00 (2.0 ×) |  |"),
            "{}",
            text(&all)
        );
    }
}
