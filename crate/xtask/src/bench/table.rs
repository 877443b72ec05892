//! Figures side by side: one line for each piece of work in each place, ours first, each peer with its ratio to ours.

use std::fmt::Write as _;

use super::{Figure, Measured};

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
         every step; a picture of 25 steps has everything in it. Peers encode and decode numbers, ours pictures of bytes.\n\n",
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
            .map(|(engine, median, ratio)| format!("{engine} {:.2} ({ratio:.1} ×)", 1e3 * median))
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

/// Thousand million floating-point operations a second.
fn rate(figure: &Figure) -> f64 {
    figure.flop as f64 / figure.median() / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(engine: &str, place: &str, seconds: f64) -> Measured {
        let figure = Figure { name: "step".into(), seconds: vec![seconds; 3], flop: 0, bytes: 0, dispatches: 0 };
        Measured {
            place: place.into(),
            engine: engine.into(),
            kind: "cpu",
            model: "toon".into(),
            figures: vec![figure],
        }
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
