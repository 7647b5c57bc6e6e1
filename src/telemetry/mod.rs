//! What a process tells of its own doing: logs on standard error, always, and traces to a
//! collector, where the settings name one.

mod line;
mod spans;

use std::io::{IsTerminal as _, stderr};

use tracing_subscriber::fmt::format::JsonFields;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, registry};

use crate::config::{Log, LogFormat, Traces};
use line::JsonLine;

pub use spans::{Spans, SpansError};

/// Starts logging for the whole process, and traces where there is somebody to send them to; a
/// second call does nothing.
///
/// # Errors
///
/// The collector's address cannot be used.
pub fn start(log: &Log, traces: Option<&Traces>) -> Result<Option<Spans>, SpansError> {
    // The filter was parsed when the settings were read.
    // Postgres says that what is there already is there already, at every start.
    let filter = format!("sqlx::postgres::notice=warn,{}", log.filter);
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let terminal = stderr().is_terminal();
    let format = log.format.unwrap_or(if terminal { LogFormat::Text } else { LogFormat::Json });
    let layer = tracing_subscriber::fmt::layer().with_writer(stderr);
    let lines = match format {
        LogFormat::Text => layer.with_target(false).with_ansi(terminal).boxed(),
        LogFormat::Json => layer.fmt_fields(JsonFields::new()).event_format(JsonLine).boxed(),
    };
    // Of the lines alone: who wants few of them may want traces all the same.
    let lines = lines.with_filter(filter);
    let spans = traces.map(Spans::start).transpose()?;
    let started = match &spans {
        Some(spans) => registry().with(lines).with(spans.layer()).try_init(),
        None => registry().with(lines).try_init(),
    };
    if started.is_err() {
        tracing::debug!("logging had been started before");
    }
    Ok(spans)
}
