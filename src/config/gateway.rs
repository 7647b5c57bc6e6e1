//! Whether inputs may be read while they come.

/// Whether inputs may be read while they come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum InputGateway {
    /// Where the kernel can hold ffmpeg to one port, and the input's server gives parts.
    #[default]
    Auto,
    /// Every input is downloaded before it is read.
    Never,
}

impl InputGateway {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "never" => Ok(Self::Never),
            _ => Err(format!("`{text}` is neither auto nor never")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_are_read_while_they_come_unless_that_is_switched_off() {
        assert_eq!(InputGateway::parse("auto"), Ok(InputGateway::default()));
        assert_eq!(InputGateway::parse("never"), Ok(InputGateway::Never));
        assert!(InputGateway::parse("always").is_err());
    }
}
