//! How a picture must be turned, from what ffprobe says beside it.
//!
//! ffmpeg's matrix maps coded to shown places, in fixed point and row by row. It is read as
//! "mirror left to right if need be, then turn clockwise", which covers the eight orientations
//! of EXIF. A turn that is not by quarters is none, as in ffmpeg's own automatic turn for
//! players' purposes it would need a larger canvas.

use crate::facts::Rotation;
use crate::report::SideData;

/// How far from a quarter an angle may be, in degrees; ffmpeg's own tolerance.
const TOLERANCE: f64 = 1.0;

/// The turn, and whether to mirror first; `None` when nothing is said.
pub(crate) fn of(side_data: &[SideData]) -> Option<(Rotation, bool)> {
    side_data.iter().find_map(|data| {
        matrix(&data.displaymatrix.0).or_else(|| counter_clockwise(&data.rotation.0))
    })
}

/// The turn in the `rotate` tag of old files: degrees clockwise.
pub(crate) fn of_tag(text: &str) -> Option<(Rotation, bool)> {
    let degrees: f64 = text.trim().parse().ok()?;
    Some((clockwise(degrees)?, false))
}

fn counter_clockwise(text: &str) -> Option<(Rotation, bool)> {
    let degrees: f64 = text.trim().parse().ok()?;
    Some((clockwise(-degrees)?, false))
}

/// Three rows, each of a number, a colon and three numbers.
fn matrix(text: &str) -> Option<(Rotation, bool)> {
    let mut rows = text.lines().filter_map(|line| {
        let mut numbers = line.split_once(':')?.1.split_whitespace().map(str::parse::<i32>);
        Some((f64::from(numbers.next()?.ok()?), f64::from(numbers.next()?.ok()?)))
    });
    let ((a, b), (c, d)) = (rows.next()?, rows.next()?);
    let mirrored = a * d - b * c < 0.0;
    let (x, y) = if mirrored { (-a, -b) } else { (a, b) };
    if x == 0.0 && y == 0.0 {
        return None;
    }
    Some((clockwise(y.atan2(x).to_degrees())?, mirrored))
}

/// The quarter an angle is at; `None` for what is no angle.
fn clockwise(degrees: f64) -> Option<Rotation> {
    if degrees.is_nan() || degrees.abs() > 3600.0 {
        return None;
    }
    let near = |quarter: f64| {
        let off = (degrees - quarter).rem_euclid(360.0);
        off.min(360.0 - off) < TOLERANCE
    };
    Some(match () {
        () if near(90.0) => Rotation::Quarter,
        () if near(180.0) => Rotation::Half,
        () if near(270.0) => Rotation::ThreeQuarters,
        () => Rotation::None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Loose;

    fn beside(matrix: &str, rotation: &str) -> Option<(Rotation, bool)> {
        let (displaymatrix, rotation) = (Loose(matrix.into()), Loose(rotation.into()));
        of(&[SideData::default(), SideData { displaymatrix, rotation }])
    }

    #[test]
    fn a_phone_held_upright_needs_a_quarter_clockwise() {
        let matrix = "\n00000000:            0       65536           0\n\
            00000001:       -65536           0           0\n\
            00000002:            0           0  1073741824\n";
        assert_eq!(beside(matrix, "-90"), Some((Rotation::Quarter, false)));
        assert_eq!(beside("", "-90"), Some((Rotation::Quarter, false)));
        assert_eq!(beside("", "90.00"), Some((Rotation::ThreeQuarters, false)));
        assert_eq!(beside("", "-180"), Some((Rotation::Half, false)));
        assert_eq!(of_tag("90"), Some((Rotation::Quarter, false)));
        assert_eq!(of_tag("-90"), Some((Rotation::ThreeQuarters, false)));
    }

    #[test]
    fn a_matrix_that_mirrors_is_told_apart_from_a_turn() {
        let rows = |a: i32, b: i32, c: i32, d: i32| {
            format!("\n00000000: {a} {b} 0\n00000001: {c} {d} 0\n00000002: 0 0 1073741824\n")
        };
        assert_eq!(beside(&rows(-1, 0, 0, 1), "-180"), Some((Rotation::None, true)));
        assert_eq!(beside(&rows(1, 0, 0, -1), "0"), Some((Rotation::Half, true)));
        assert_eq!(beside(&rows(0, 1, 1, 0), "-90"), Some((Rotation::ThreeQuarters, true)));
        assert_eq!(beside(&rows(0, -1, -1, 0), "90"), Some((Rotation::Quarter, true)));
    }

    #[test]
    fn what_is_no_turn_is_none() {
        for rotation in ["-9223372036854775808", "nan", "inf", "", "N/A", "1e300"] {
            assert_eq!(beside("", rotation), None, "{rotation}");
        }
        assert_eq!(beside("\n0: 0 0 0\n1: 0 0 0\n", ""), None);
        assert_eq!(beside("", "45"), Some((Rotation::None, false)));
        assert_eq!(beside("", "-89.5"), Some((Rotation::Quarter, false)));
    }
}
