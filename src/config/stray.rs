//! Variables of the environment that look like settings and are none.
//!
//! Nobody reads them, so that whoever has set one waits for what it would do. They are told of and
//! not refused: a platform makes variables of its own, such as Kubernetes' `REELWAY_PORT` for a
//! service of that name.

use super::setting::{SETTINGS, Setting};

/// What begins the names of most variables.
const PREFIX: &str = "REELWAY_";

/// How many letters of a slip are wrong at most.
const MAX_SLIPS: usize = 2;

/// What to say about each of these variables that was probably meant for a setting.
#[must_use]
pub fn strays(variables: impl IntoIterator<Item = (String, String)>) -> Vec<String> {
    let is_made_by_kubernetes = |value: &str| value.starts_with("tcp://");
    let told = variables.into_iter().filter(|(_, value)| !is_made_by_kubernetes(value));
    let mut told: Vec<_> = told
        .filter_map(|(name, _)| {
            Some(format!("{name} is no setting; did you mean {}?", meant(&name)?))
        })
        .collect();
    told.sort();
    told
}

/// The variable that `name` was probably meant to be.
fn meant(name: &str) -> Option<&'static str> {
    let rest = name.strip_prefix(PREFIX)?;
    let known = || SETTINGS.iter().flat_map(|setting| setting.env).copied();
    if known().any(|known| known == name) || name == "REELWAY_SERVER" {
        return None;
    }
    let of_key = Setting::find(&rest.to_ascii_lowercase()).and_then(|setting| setting.env.first());
    let slip = || {
        let far = known().map(|known| (strsim::osa_distance(name, known), known));
        far.filter(|(far, _)| *far <= MAX_SLIPS).min_by_key(|(far, _)| *far).map(|(_, name)| name)
    };
    of_key.copied().or_else(slip)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_told_and_a_strangers_variable_is_not() {
        let variables = [
            ("REELWAY_SLOTZ", "4"),
            ("REELWAY_PORT", "8080"),
            ("REELWAY_DATABASE_URL", "postgres://db/reelway"),
            ("REELWAY_SLOTS", "4"),
            ("REELWAY_SERVER", "http://127.0.0.1:3000"),
            ("REELWAY_SERVICE_HOST", "10.0.0.1"),
            ("REELWAY_API_PORT", "tcp://10.0.0.1:3000"),
            ("REELWAY_TEST_MEDIA", "/media"),
            ("SLOTS", "4"),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let told = [
            "REELWAY_DATABASE_URL is no setting; did you mean DATABASE_URL?",
            "REELWAY_PORT is no setting; did you mean PORT?",
            "REELWAY_SLOTZ is no setting; did you mean REELWAY_SLOTS?",
        ];
        assert_eq!(strays(variables), told);
        let link = ("REELWAY_PORT".to_owned(), "tcp://10.0.0.1:3000".to_owned());
        assert!(strays([link]).is_empty());
    }
}
