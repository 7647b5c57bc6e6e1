//! What encodes H.264 and H.265 videos.

use ffmpeg::Hardware;

/// The processors, or hardware that is found at the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoder {
    /// The processors: the same on every machine, and of one size the better picture.
    #[default]
    Software,
    /// Any hardware.
    Auto,
    /// One kind of it.
    Only(Hardware),
}

impl Encoder {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let named = || Hardware::ALL.into_iter().find(|hardware| hardware.name() == text);
        match text {
            "software" => Ok(Self::Software),
            "auto" => Ok(Self::Auto),
            _ => named().map(Self::Only).ok_or_else(|| {
                let names = Hardware::ALL.map(Hardware::name).join(", ");
                format!("`{text}` is none of software, auto, {names}")
            }),
        }
    }

    /// What is tried at the start.
    #[must_use]
    pub fn wanted(self) -> Vec<Hardware> {
        match self {
            Self::Software => Vec::new(),
            Self::Auto => Hardware::ALL.into(),
            Self::Only(hardware) => vec![hardware],
        }
    }

    /// What whoever asked for one kind of hardware has to know when none of it was found.
    #[must_use]
    pub fn missed(self, found_any: bool) -> Option<String> {
        match self {
            Self::Only(hardware) if !found_any => Some(format!(
                "the encoder {} was asked for and encoded no picture here: the processors encode",
                hardware.name()
            )),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_encoder_is_named_as_ffmpeg_names_it() {
        assert_eq!(Encoder::parse("software"), Ok(Encoder::default()));
        assert_eq!(Encoder::parse("auto").expect("a word").wanted().len(), 4);
        let vaapi = Encoder::parse("vaapi").expect("a word");
        assert_eq!(vaapi.wanted(), [Hardware::Vaapi]);
        assert!(vaapi.missed(false).expect("a warning").contains("vaapi"));
        assert_eq!(vaapi.missed(true), None);
        assert_eq!(Encoder::Auto.missed(false).or(Encoder::Software.missed(false)), None);
        let wrong = Encoder::parse("cuda").expect_err("no encoder");
        assert!(wrong.contains("nvenc"), "{wrong}");
    }
}
