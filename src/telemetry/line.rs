//! A line of the log as JSON.

use std::error::Error;
use std::fmt;

use serde_json::{Map, Value, json};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{FormatEvent, JsonFields, Writer};
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormattedFields};
use tracing_subscriber::registry::{LookupSpan, Scope};

use crate::trace;

/// One object a line: the event's own fields beside time and level, the spans that it happened
/// in, with their ids of job and task, and where it stands in a trace.
///
/// The subscriber's own JSON leaves out what an error was caused by, which is mostly what one
/// is looking for.
pub(super) struct JsonLine;

impl<S> FormatEvent<S, JsonFields> for JsonLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, JsonFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut timestamp = String::new();
        SystemTime.format_time(&mut Writer::new(&mut timestamp))?;
        let metadata = event.metadata();
        let mut line = Fields(Map::new());
        line.0.insert("timestamp".to_owned(), timestamp.into());
        line.0.insert("level".to_owned(), metadata.level().as_str().into());
        event.record(&mut line);
        line.0.insert("target".to_owned(), metadata.target().into());
        if let Some(trace) = trace::here() {
            line.0.insert("trace_id".to_owned(), trace.id().into());
            line.0.insert("span_id".to_owned(), trace.span_id().into());
        }
        let spans: Vec<Value> = context
            .event_scope()
            .into_iter()
            .flat_map(Scope::from_root)
            .map(|span| {
                let extensions = span.extensions();
                let fields = extensions.get::<FormattedFields<JsonFields>>();
                let fields = fields.and_then(|fields| serde_json::from_str(&fields.fields).ok());
                let mut shown: Map<String, Value> = fields.unwrap_or_default();
                shown.insert("name".to_owned(), span.name().into());
                shown.into()
            })
            .collect();
        if let Some(innermost) = spans.last() {
            line.0.insert("span".to_owned(), innermost.clone());
            line.0.insert("spans".to_owned(), spans.into());
        }
        writeln!(writer, "{}", Value::Object(line.0))
    }
}

/// What an event says, as JSON.
struct Fields(Map<String, Value>);

impl Fields {
    fn put(&mut self, field: &Field, value: Value) {
        self.0.insert(field.name().to_owned(), value);
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, json!(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.into());
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        let mut text = value.to_string();
        let mut cause = value.source();
        while let Some(error) = cause {
            let words = error.to_string();
            // Some errors say their cause in their own words.
            if !text.ends_with(&words) {
                text.push_str(": ");
                text.push_str(&words);
            }
            cause = error.source();
        }
        self.put(field, text.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}").into());
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex, PoisonError};

    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[derive(Debug, thiserror::Error)]
    #[error("the output cannot be stored")]
    struct Outer(#[source] io::Error);

    #[test]
    fn a_line_tells_an_error_with_its_causes_and_whose_job_it_was() {
        let lines = Lines::default();
        let to = lines.clone();
        let layer = tracing_subscriber::fmt::layer()
            .with_writer(move || to.clone())
            .fmt_fields(JsonFields::new())
            .event_format(JsonLine);
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            let _task = tracing::info_span!("task", job.id = "job_1", task.id = "task_1").entered();
            let error = Outer(io::Error::other("no space is left"));
            let error = &error as &dyn Error;
            tracing::error!(error, tries = 3_u64, speed = 1.5, is_last = true, "it failed");
        });
        let bytes = lines.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let text = String::from_utf8(bytes).expect("UTF-8");
        let line: Value = serde_json::from_str(&text).expect("one JSON line");
        assert!(line["timestamp"].as_str().is_some_and(|time| time.ends_with('Z')), "{line}");
        assert_eq!(line["level"], "ERROR");
        assert_eq!(line["message"], "it failed");
        assert_eq!(line["error"], "the output cannot be stored: no space is left");
        assert_eq!(
            (&line["tries"], &line["speed"], &line["is_last"]),
            (&json!(3), &json!(1.5), &json!(true))
        );
        let task = json!({"job.id": "job_1", "task.id": "task_1", "name": "task"});
        assert_eq!(line["span"], task);
        assert_eq!(line["spans"], json!([task]));
    }
}
