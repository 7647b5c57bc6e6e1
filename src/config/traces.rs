//! Where traces go.

use axum::http::{HeaderName, HeaderValue};
use percent_encoding::percent_decode_str;
use secrecy::SecretString;
use url::Url;

use super::parse::{Reader, http_url};

/// Where traces go, and which.
#[derive(Clone, Debug)]
pub struct Traces {
    /// Where the collector takes them.
    pub endpoint: Url,
    /// What it asks for beside them.
    pub headers: Vec<(HeaderName, SecretString)>,
    /// What this process is called in them.
    pub service_name: String,
    /// Which are kept.
    pub sampling: Sampling,
}

/// Which traces are kept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    /// Whether a caller who says so about the trace of a request is heeded.
    pub heeds_callers: bool,
    /// The share of the others that is kept, from 0 to 1.
    pub share: f64,
}

/// Whose share is asked for.
enum Share {
    Fixed(f64),
    Said,
}

impl Reader<'_> {
    /// Everything is looked at, so that a slip is told although nothing is sent yet.
    pub(super) fn traces(&mut self) -> Option<Traces> {
        let headers = self.list("otel_exporter_otlp_headers", header);
        let said = self.parsed("otel_traces_sampler_arg", share).unwrap_or(1.0);
        let sampler = self.parsed("otel_traces_sampler", sampler);
        let (heeds_callers, share) = sampler.unwrap_or((true, Share::Fixed(1.0)));
        let share = match share {
            Share::Fixed(share) => share,
            Share::Said => said,
        };
        Some(Traces {
            endpoint: self.parsed("otel_exporter_otlp_endpoint", endpoint)?,
            headers,
            service_name: self.text("otel_service_name").unwrap_or("reelway").to_owned(),
            sampling: Sampling { heeds_callers, share },
        })
    }
}

/// The standard's way from the address of a collector to that of its traces.
fn endpoint(text: &str) -> Result<Url, String> {
    let mut url = http_url(text)?;
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(["v1", "traces"]);
    }
    Ok(url)
}

/// A header as the standard writes it: the value may be percent-encoded. It may be a key, so that no
/// message repeats it.
fn header(text: &str) -> Result<(HeaderName, SecretString), String> {
    let shape = || "each is NAME=VALUE, such as authorization=Bearer%20KEY".to_owned();
    let (name, value) = text.split_once('=').ok_or_else(shape)?;
    let name = HeaderName::try_from(name.trim()).map_err(|_| shape())?;
    let value = percent_decode_str(value.trim()).decode_utf8().map_err(|_| shape())?;
    HeaderValue::from_str(&value).map_err(|_| shape())?;
    Ok((name, value.into_owned().into()))
}

fn share(text: &str) -> Result<f64, String> {
    let share = text.trim().parse().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| format!("`{text}` is not a number from 0 to 1"))
}

fn sampler(text: &str) -> Result<(bool, Share), String> {
    let own = text.strip_prefix("parentbased_");
    let share = match own.unwrap_or(text) {
        "always_on" => Share::Fixed(1.0),
        "always_off" => Share::Fixed(0.0),
        "traceidratio" => Share::Said,
        _ => {
            return Err(format!(
                "there is no sampler `{text}`; there are always_on, always_off, traceidratio, and \
                 these behind parentbased_"
            ));
        }
    };
    Ok((own.is_some(), share))
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;
    use crate::config::{Config, Flags, Purpose};

    fn load(env: &[(&str, &str)]) -> Result<Option<Traces>, String> {
        let env = |name: &str| {
            let found = env.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let loaded = Config::load_from(&Flags::default(), &env, Purpose::Listen);
        loaded.map(|(config, _)| config.traces).map_err(|problems| problems.to_string())
    }

    #[test]
    fn without_a_collector_there_are_no_traces() {
        assert!(load(&[]).expect("valid").is_none());
        assert!(load(&[("OTEL_SERVICE_NAME", "media")]).expect("valid").is_none());
    }

    #[test]
    fn a_collector_is_named_by_the_standards_variables() {
        let traces = load(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://collector.example.com/otlp/"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20a-key, x-team = media"),
            ("OTEL_SERVICE_NAME", "media"),
            ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"),
            ("OTEL_TRACES_SAMPLER_ARG", "0.25"),
        ]);
        let traces = traces.expect("valid").expect("a collector");
        assert_eq!(traces.endpoint.as_str(), "https://collector.example.com/otlp/v1/traces");
        let headers = traces.headers.iter();
        let headers: Vec<_> =
            headers.map(|(name, value)| (name.as_str(), value.expose_secret())).collect();
        assert_eq!(headers, [("authorization", "Bearer a-key"), ("x-team", "media")]);
        assert_eq!(traces.service_name, "media");
        assert_eq!(traces.sampling, Sampling { heeds_callers: true, share: 0.25 });
    }

    #[test]
    fn every_sampler_of_the_standard_that_needs_no_server_is_there() {
        let sampling = |name| {
            let collector = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318");
            let traces = load(&[collector, ("OTEL_TRACES_SAMPLER", name)]);
            let Sampling { heeds_callers, share } = traces.expect("valid").expect("one").sampling;
            (heeds_callers, share)
        };
        assert_eq!(sampling("always_on"), (false, 1.0));
        assert_eq!(sampling("always_off"), (false, 0.0));
        assert_eq!(sampling("traceidratio"), (false, 1.0));
        assert_eq!(sampling("parentbased_always_on"), (true, 1.0));
        assert_eq!(sampling("parentbased_always_off"), (true, 0.0));
    }

    #[test]
    fn slips_are_told_and_a_key_is_not_repeated() {
        let error = load(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "a-secret-key"),
            ("OTEL_TRACES_SAMPLER", "jaeger_remote"),
            ("OTEL_TRACES_SAMPLER_ARG", "25"),
        ]);
        let error = error.expect_err("four slips");
        for told in ["ENDPOINT", "HEADERS", "there is no sampler `jaeger_remote`", "from 0 to 1"] {
            assert!(error.contains(told), "{told}: {error}");
        }
        assert!(!error.contains("a-secret-key"), "{error}");
    }
}
