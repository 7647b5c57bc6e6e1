//! When long videos are made in pieces.

use crate::worker::When;

pub(super) fn when(text: &str) -> Result<When, String> {
    match text {
        "auto" => Ok(When::Helped),
        "always" => Ok(When::Always),
        "never" => Ok(When::Never),
        _ => Err(format!("`{text}` is none of auto, always and never")),
    }
}

/// The shortest piece, in seconds.
pub(super) fn secs(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(secs) if (1.0..=3600.0).contains(&secs) => Ok(secs),
        _ => Err(format!("`{text}` is no number of seconds from 1 to 3600")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_videos_are_cut_for_those_who_help() {
        assert_eq!(when("auto"), Ok(When::default()));
        assert_eq!(when("never"), Ok(When::Never));
        assert!(when("").is_err());
        assert_eq!(secs("1.5"), Ok(1.5));
        assert!(["0", "0.9", "4000", "nan", "ten"].iter().all(|text| secs(text).is_err()));
    }
}
