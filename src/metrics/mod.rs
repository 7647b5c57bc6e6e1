//! What is counted, for Prometheus.
//!
//! [`TABLE`] is the list of everything that `/metrics` can show; each row counts by itself, from
//! whatever module knows: `metrics::CLAIMS.add(1, &[lane, kind])`. The values of labels are from
//! small closed sets: a kind, a lane, an outcome, a route. An id or a URL is never one.
//!
//! There is one recorder a process, as there is one log. Before [`start`] nothing is kept.

mod table;

use std::sync::OnceLock;
use std::time::Duration;

use ::metrics::{Label, counter, gauge, histogram};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

pub use table::*;

/// How often what was observed is put into its buckets when nobody asks for it.
const UPKEEP: Duration = Duration::from_secs(10);

/// A row of the table: one name on the page.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Metric {
    /// Its name: `reelway_`, the thing, the unit, and `_total` for a counter.
    pub name: &'static str,
    /// What its numbers are.
    pub shape: Shape,
    /// What it tells, in a sentence.
    pub help: &'static str,
    /// The names of its labels, in the order in which values are given.
    pub labels: &'static [&'static str],
}

/// What the numbers of a metric are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Shape {
    /// It grows as long as the process lives.
    Counter,
    /// It is as it is now.
    Gauge,
    /// Sizes that were seen, by upper bounds.
    Histogram(&'static [f64]),
}

impl Shape {
    /// The word that Prometheus has for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram(_) => "histogram",
        }
    }
}

impl Metric {
    /// Counts `by` more.
    pub fn add(&self, by: u64, values: &[&str]) {
        counter!(self.name, self.labelled(values)).increment(by);
    }

    /// Says how it is now.
    pub fn set(&self, value: f64, values: &[&str]) {
        gauge!(self.name, self.labelled(values)).set(value);
    }

    /// Says that it has one more until the answer is dropped.
    #[must_use]
    pub fn hold(&self, values: &[&str]) -> Holding {
        let gauge = gauge!(self.name, self.labelled(values));
        gauge.increment(1.0);
        Holding(gauge)
    }

    /// Puts what was seen into its bucket.
    pub fn observe(&self, value: f64, values: &[&str]) {
        histogram!(self.name, self.labelled(values)).record(value);
    }

    fn labelled(&self, values: &[&str]) -> Vec<Label> {
        debug_assert_eq!(self.labels.len(), values.len(), "{}", self.name);
        let pairs = self.labels.iter().zip(values);
        pairs.map(|(name, value)| Label::new(*name, (*value).to_owned())).collect()
    }

    /// What has no labels is there from the start, so that a rule can tell "never" from "not known".
    fn begin(&self) {
        match self.shape {
            Shape::Counter => ::metrics::describe_counter!(self.name, self.help),
            Shape::Gauge => ::metrics::describe_gauge!(self.name, self.help),
            Shape::Histogram(_) => ::metrics::describe_histogram!(self.name, self.help),
        }
        if self.labels.is_empty() && self.shape == Shape::Counter {
            self.add(0, &[]);
        }
    }
}

/// One more, while it lives.
pub struct Holding(::metrics::Gauge);

impl Drop for Holding {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

/// What was counted in this process.
static COUNTED: OnceLock<PrometheusHandle> = OnceLock::new();

/// Counts from now on; a second call does nothing.
///
/// # Errors
///
/// A histogram of the table has no bounds.
pub fn start() -> Result<(), BuildError> {
    if COUNTED.get().is_some() {
        return Ok(());
    }
    let mut builder = PrometheusBuilder::new();
    for metric in TABLE {
        if let Shape::Histogram(bounds) = metric.shape {
            let name = Matcher::Full(metric.name.to_owned());
            builder = builder.set_buckets_for_metric(name, bounds)?;
        }
    }
    let recorder = builder.build_recorder();
    let handle = recorder.handle();
    if ::metrics::set_global_recorder(recorder).is_ok() && COUNTED.set(handle).is_ok() {
        TABLE.iter().for_each(Metric::begin);
    }
    Ok(())
}

/// The page, in Prometheus' text format; empty before [`start`].
#[must_use]
pub fn page() -> String {
    COUNTED.get().map(PrometheusHandle::render).unwrap_or_default()
}

/// Keeps what was observed small until `stop`: without it, a process that nobody scrapes would
/// remember every single size.
pub async fn keep_up(stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = sleep(UPKEEP) => {}
        }
        if let Some(handle) = COUNTED.get() {
            handle.run_upkeep();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fmt::Write as _;

    use super::*;

    #[test]
    fn names_are_as_prometheus_wants_them() {
        let names: BTreeSet<&str> = TABLE.iter().map(|metric| metric.name).collect();
        assert_eq!(names.len(), TABLE.len(), "a name is there twice");
        for Metric { name, shape, help, labels } in TABLE {
            assert!(name.starts_with("reelway_"), "{name}");
            assert_eq!(name.ends_with("_total"), *shape == Shape::Counter, "{name}");
            assert!(help.ends_with('.'), "{name}: {help}");
            assert!(labels.iter().all(|label| !["id", "url", "job", "task"].contains(label)));
            if let Shape::Histogram(bounds) = shape {
                assert!(bounds.is_sorted() && bounds.iter().all(|bound| *bound > 0.0), "{name}");
            }
        }
    }

    #[test]
    fn reference_page_of_metrics() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/metrics.md");
        let made = reference();
        if std::env::var_os("REELWAY_UPDATE_DOCS").is_some() {
            std::fs::write(path, &made).expect("written");
        }
        assert_eq!(
            std::fs::read_to_string(path).unwrap_or_default(),
            made,
            "docs/metrics.md is not of this version: REELWAY_UPDATE_DOCS=1 cargo nextest run reference_page"
        );
    }

    fn reference() -> String {
        let mut page = include_str!("about.txt").to_owned();
        page.push_str("\n| metric | type | labels | what it tells |\n|---|---|---|---|\n");
        for Metric { name, shape, help, labels } in TABLE {
            let labels: Vec<String> = labels.iter().map(|label| format!("`{label}`")).collect();
            let (word, labels) = (shape.word(), labels.join(" "));
            writeln!(page, "| `{name}` | {word} | {labels} | {help} |").expect("a line");
        }
        page
    }
}
