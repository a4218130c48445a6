//! Curves as a drawing, for a training's losses and an experiment's results.

use std::path::Path;

use plotters::prelude::{
    BLACK, ChartBuilder, Color, IntoDrawingArea, LineSeries, Palette, Palette99, PathElement, SVGBackend,
    SeriesLabelPosition, WHITE,
};

use crate::error::{Error, Result};
use crate::sink::write_whole;

/// Width and height of a drawing in pixels.
const SIZE: (u32, u32) = (720, 420);

/// A curve: what it is called, and its points, (x, y), in the order in which they are joined.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Curve {
    /// What the legend calls it.
    pub name: String,
    /// Its points; those that are not finite are left out.
    pub points: Vec<(f64, f64)>,
}

/// Curves over common axes, as SVG: `x` and `y` say what the axes count.
///
/// # Errors
/// When no curve has a point.
pub fn svg(title: &str, x: &str, y: &str, curves: &[Curve]) -> Result<String> {
    let is_drawn = |point: &&(f64, f64)| point.0.is_finite() && point.1.is_finite();
    let points = || curves.iter().flat_map(|curve| &curve.points).filter(is_drawn);
    if points().next().is_none() {
        return Err(Error::input(format!("`{title}` has no point that could be drawn")));
    }
    let mut drawn = String::new();
    draw(&mut drawn, title, (x, y), curves, (span(points().map(|p| p.0)), span(points().map(|p| p.1))))
        .map_err(|e| Error::output(format!("`{title}` can't be drawn")).because(e))?;
    Ok(drawn)
}

/// Writes [`svg`] to a file.
///
/// # Errors
/// When there is nothing to draw, or the file can't be written.
pub fn write(path: &Path, title: &str, x: &str, y: &str, curves: &[Curve]) -> Result<()> {
    write_whole(path, svg(title, x, y, curves)?.as_bytes())
}

/// From the least to the greatest, with a little room around a single value.
fn span(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (least, most) =
        values.fold((f64::MAX, f64::MIN), |(least, most), value| (least.min(value), most.max(value)));
    if most > least { (least, most) } else { (least - 0.5, most + 0.5) }
}

type Drawn = std::result::Result<(), Box<dyn std::error::Error + Send + Sync>>;

fn draw(
    to: &mut String,
    title: &str,
    axes: (&str, &str),
    curves: &[Curve],
    (x, y): ((f64, f64), (f64, f64)),
) -> Drawn {
    let area = SVGBackend::with_string(to, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .caption(title, ("sans-serif", 18))
        .margin(14)
        .x_label_area_size(40)
        .y_label_area_size(56)
        .build_cartesian_2d(x.0..x.1, y.0..y.1)?;
    chart.configure_mesh().light_line_style(WHITE).x_desc(axes.0).y_desc(axes.1).draw()?;
    for (number, curve) in curves.iter().enumerate() {
        let color = Palette99::pick(number).to_rgba();
        let points = curve.points.iter().copied().filter(|(x, y)| x.is_finite() && y.is_finite());
        chart
            .draw_series(LineSeries::new(points, color))?
            .label(&curve.name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color));
    }
    if curves.len() > 1 {
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperRight)
            .background_style(WHITE)
            .border_style(BLACK)
            .draw()?;
    }
    area.present()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_curve_is_drawn_and_named() {
        let curve = |name: &str, slope: f64| Curve {
            name: name.to_owned(),
            points: (0..5).map(|x| (f64::from(x), slope * f64::from(x))).collect(),
        };
        let drawn =
            svg("Losses <of two>", "step", "nats", &[curve("learnt", 1.0), curve("held out", -1.0)]).unwrap();
        let lines = |drawn: &str| drawn.matches("<polyline").count();
        let one = svg("", "step", "nats", &[curve("", 1.0)]).unwrap();
        assert!(lines(&drawn) > lines(&one), "{drawn}");
        for words in ["Losses &lt;of two&gt;", "learnt", "held out", "step", "nats"] {
            assert!(drawn.contains(words), "{words} is not in {drawn}");
        }
    }

    #[test]
    fn nothing_to_draw_is_an_error_and_what_is_not_finite_is_left_out() {
        assert!(svg("none", "x", "y", &[Curve::default()]).is_err());
        let curve = Curve { name: "some".to_owned(), points: vec![(0.0, f64::NAN), (1.0, 2.0)] };
        let drawn = svg("some", "x", "y", &[curve]).unwrap();
        assert!(!drawn.contains("NaN"), "{drawn}");
    }
}
