//! The box around ffmpeg: whether it is required, and what is put around it.

/// What happens where the kernel cannot box ffmpeg in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sandbox {
    /// No work is done.
    #[default]
    Required,
    /// Work is done all the same, with what there is of the box.
    Permissive,
}

impl Sandbox {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        match text {
            "required" => Ok(Self::Required),
            "permissive" => Ok(Self::Permissive),
            _ => Err(format!("`{text}` is neither required nor permissive")),
        }
    }
}

/// The layers beside Landlock and seccomp: good to have, never required.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extras {
    /// A network, names and queues of its own for every process.
    pub namespaces: bool,
    /// A cgroup for every process.
    pub cgroup: bool,
}

impl Default for Extras {
    fn default() -> Self {
        Self { namespaces: true, cgroup: true }
    }
}

impl Extras {
    /// Reads a list of them, or `none`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut extras = Self { namespaces: false, cgroup: false };
        if text.trim() == "none" {
            return Ok(extras);
        }
        for name in text.split(',') {
            match name.trim() {
                "namespaces" => extras.namespaces = true,
                "cgroup" => extras.cgroup = true,
                other => {
                    return Err(format!("`{other}` is none of namespaces, cgroup and none"));
                }
            }
        }
        Ok(extras)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_layer_can_be_left_out_by_itself() {
        let (all, none) = (Extras::default(), Extras { namespaces: false, cgroup: false });
        for (text, wanted) in [
            ("namespaces,cgroup", all),
            ("cgroup, namespaces", all),
            ("namespaces", Extras { cgroup: false, ..all }),
            ("cgroup", Extras { namespaces: false, ..all }),
            ("none", none),
        ] {
            assert_eq!(Extras::parse(text), Ok(wanted), "{text}");
        }
        for wrong in ["", "bubblewrap", "none,cgroup", "namespaces,"] {
            assert!(Extras::parse(wrong).is_err(), "{wrong}");
        }
    }
}
