//! Curves as SVG that takes its colours from the page: what is drawn in a colour of this file is repainted by a rule of
//! `report.css` for that colour, for light, dark and paper.

use anyhow::Result;
use plotters::prelude::*;

/// Size in pixels: about that of a column of the page, so that the letters keep theirs.
const SIZE: (u32, u32) = (352, 220);
/// Axes and letters.
const INK: RGBColor = RGBColor(128, 128, 128);
/// Lines of the grid.
const FAINT: RGBColor = RGBColor(200, 200, 200);
/// Series in the order of the runs.
const SERIES: [RGBColor; 6] = [
    RGBColor(60, 74, 224),
    RGBColor(200, 80, 0),
    RGBColor(0, 130, 90),
    RGBColor(170, 40, 150),
    RGBColor(120, 110, 0),
    RGBColor(0, 120, 170),
];
/// Points of a curve; of more, neighbours are averaged: a page of a long run should still be a page.
const POINTS: usize = 400;
/// From this ratio between the largest and the smallest value on, the axis is logarithmic.
const WIDE: f64 = 30.0;

/// Most runs that can be told apart.
pub const MOST: usize = SERIES.len();

/// One chart of a series per run; a run that has no such number has an empty one. Positive values of very different
/// sizes get a logarithmic axis, unless the chart is to be `even`. Nothing if no value can be drawn.
///
/// # Errors
/// If the drawing fails.
pub fn chart(series: &[&[(f64, f64)]], even: bool) -> Result<Option<String>> {
    let finite = |points: &[(f64, f64)]| points.iter().copied().filter(|(_, y)| y.is_finite()).collect::<Vec<_>>();
    let series: Vec<Vec<(f64, f64)>> = series.iter().map(|points| thinned(&finite(points))).collect();
    let all = || series.iter().flatten();
    if all().next().is_none() {
        return Ok(None);
    }
    let range = |of: fn(&(f64, f64)) -> f64| {
        all().map(of).fold((f64::MAX, f64::MIN), |(low, high), value| (low.min(value), high.max(value)))
    };
    let (low, high) = range(|(_, y)| *y);
    let logarithmic = !even && low > 0.0 && high / low >= WIDE;
    let shown = |y: f64| if logarithmic { y.log10() } else { y };
    // A flat curve has no height of its own.
    let wide = |(low, high): (f64, f64)| if low < high { low..high } else { low - 0.5..low + 0.5 };
    let (across, up) = (wide(range(|(x, _)| *x)), wide((shown(low), shown(high))));
    let step = up.end - up.start;

    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        let mut axes = ChartBuilder::on(&area)
            .margin(6)
            .margin_right(14)
            .x_label_area_size(24)
            .y_label_area_size(48)
            .build_cartesian_2d(across, up)?;
        let label = |y: &f64| if logarithmic { power(10f64.powf(*y)) } else { number(*y, step) };
        axes.configure_mesh()
            .x_labels(5)
            .y_labels(6)
            .light_line_style(TRANSPARENT)
            .bold_line_style(FAINT)
            .axis_style(INK)
            .label_style(("sans-serif", 12, &INK))
            .x_label_formatter(&|x| short(*x))
            .y_label_formatter(&label)
            .draw()?;
        for (points, colour) in series.iter().zip(SERIES) {
            match points.as_slice() {
                // A line of one point cannot be seen.
                [only] => {
                    let dot = Circle::new((only.0, shown(only.1)), 3, colour.filled());
                    axes.draw_series([dot])?;
                }
                points => {
                    let line = points.iter().map(|(x, y)| (*x, shown(*y)));
                    axes.draw_series(LineSeries::new(line, colour.stroke_width(2)))?;
                }
            }
        }
        area.present()?;
    }
    Ok(Some(svg))
}

/// Means of neighbours, so many that no more than [`POINTS`] are left.
fn thinned(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let together = points.len().div_ceil(POINTS).max(1);
    let mean = |part: &[(f64, f64)]| {
        let (x, y) = part.iter().fold((0.0, 0.0), |(x, y), point| (x + point.0, y + point.1));
        (x / part.len() as f64, y / part.len() as f64)
    };
    points.chunks(together).map(mean).collect()
}

/// A number of updates.
fn short(value: f64) -> String {
    match value.abs() {
        v if v >= 1e6 => format!("{} M", value / 1e6),
        v if v >= 1e4 => format!("{} k", value / 1e3),
        _ => format!("{value}"),
    }
}

/// A number with as many digits as tell it from others that are parts of `range` apart.
fn number(value: f64, range: f64) -> String {
    let digits = (1.0 - range.log10()).ceil().clamp(0.0, 9.0) as usize;
    if digits > 4 { format!("{value:.1e}") } else { format!("{value:.digits$}") }
}

/// A number on a logarithmic axis.
fn power(value: f64) -> String {
    match value {
        10.0..1e4 => format!("{value:.0}"),
        0.1..10.0 => format!("{value:.2}"),
        1e-3..0.1 => format!("{value:.4}"),
        _ => format!("{value:.0e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flat_single_and_broken_curves_are_drawn_or_left_out() {
        let drawn = |points: &[(f64, f64)]| chart(&[points], false).unwrap();
        assert!(drawn(&[(1.0, 0.5), (2.0, 0.5)]).unwrap().contains("<polyline"));
        assert!(drawn(&[(1.0, 0.5)]).unwrap().contains("<circle"));
        assert!(drawn(&[(1.0, f64::NAN)]).is_none());
        assert!(drawn(&[]).is_none());
    }

    #[test]
    fn each_run_has_its_colour_also_where_one_lacks_the_number() {
        let (first, second) = (&[(1.0, 1.0), (2.0, 2.0)][..], &[(1.0, 1.0), (2.0, 200.0)][..]);
        let lines = |svg: &str| svg.lines().filter(|line| line.contains("<polyline")).count();
        let both = chart(&[first, second], false).unwrap().unwrap();
        let only = chart(&[&[], second], false).unwrap().unwrap();
        assert_eq!((both.matches("#3C4AE0").count(), both.matches("#C85000").count()), (1, 1), "{both}");
        assert_eq!((only.matches("#3C4AE0").count(), only.matches("#C85000").count()), (0, 1));
        assert_eq!(lines(&both) - lines(&only), 1);
    }

    #[test]
    fn every_colour_is_repainted_by_the_page() {
        let css = include_str!("report.css");
        for colour in SERIES.iter().chain([&INK, &FAINT]) {
            let RGBColor(red, green, blue) = colour;
            assert!(css.contains(&format!("#{red:02X}{green:02X}{blue:02X}")), "{colour:?}");
        }
    }

    #[test]
    fn long_curves_are_thinned_and_keep_their_course() {
        let long: Vec<(f64, f64)> = (0..100_000).map(|x| (f64::from(x), f64::from(x % 2))).collect();
        let thin = thinned(&long);
        assert!(thin.len() <= POINTS && thin.iter().all(|(_, y)| (y - 0.5).abs() < 1e-9));
    }

    #[test]
    fn labels_have_the_digits_that_tell_them_apart() {
        assert_eq!(number(22.5, 3.0), "22.5");
        assert_eq!(number(0.0725, 0.005), "0.0725");
        assert_eq!(number(150.0, 100.0), "150");
        assert_eq!(number(4e-4, 5e-4), "4.0e-4");
        assert_eq!((short(2500.0), short(25_000.0), short(2.5e6)), ("2500".into(), "25 k".into(), "2.5 M".into()));
    }
}
