//! A line of the log as JSON.

use std::error::Error;
use std::fmt;

use serde::Serialize;
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
        let mut line = Line::default();
        line.put("timestamp", &timestamp);
        line.put("level", metadata.level().as_str());
        event.record(&mut line);
        line.put("target", metadata.target());
        if let Some(trace) = trace::here() {
            line.put("trace_id", trace.id());
            line.put("span_id", trace.span_id());
        }
        let spans: Vec<String> = context
            .event_scope()
            .into_iter()
            .flat_map(Scope::from_root)
            .map(|span| {
                let extensions = span.extensions();
                let fields = extensions.get::<FormattedFields<JsonFields>>();
                let mut shown = Line::of(fields.map_or("", |fields| fields.fields.as_str()));
                shown.put("name", span.name());
                shown.end()
            })
            .collect();
        if let Some(innermost) = spans.last() {
            line.put_json("span", innermost);
            line.put_json("spans", &format!("[{}]", spans.join(",")));
        }
        writeln!(writer, "{}", line.end())
    }
}

/// An object of JSON that is being written. Thousands of lines a second are: no tree is built of
/// what is written out at once.
#[derive(Default)]
struct Line(String);

impl Line {
    /// Goes on with an object that is written already.
    fn of(object: &str) -> Self {
        let fields = object.trim().strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        Self(fields.unwrap_or_default().to_owned())
    }

    fn put(&mut self, name: &str, value: impl Serialize) {
        // Texts and numbers: nothing that JSON cannot say.
        let value = serde_json::to_string(&value).unwrap_or_else(|_| "null".to_owned());
        self.put_json(name, &value);
    }

    fn put_json(&mut self, name: &str, json: &str) {
        if !self.0.is_empty() {
            self.0.push(',');
        }
        // The name of a field in this program's own text: nothing in it is to be escaped.
        self.0.extend(["\"", name, "\":", json]);
    }

    fn end(self) -> String {
        format!("{{{}}}", self.0)
    }
}

impl Visit for Line {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field.name(), value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field.name(), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field.name(), value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field.name(), value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field.name(), value);
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
        self.put(field.name(), text);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field.name(), format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex, PoisonError};

    use serde_json::{Value, json};
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

    #[test]
    fn what_is_written_is_json_whatever_it_says() {
        let mut line = Line::of("{}");
        line.put("quoted", "a \"b\"\n");
        line.put("endless", f64::NAN);
        let mut more = Line::of(&line.end());
        more.put("n", 1_u64);
        let line: Value = serde_json::from_str(&more.end()).expect("an object");
        assert_eq!(line, json!({"quoted": "a \"b\"\n", "endless": null, "n": 1}));
        assert_eq!(Line::of("").end(), "{}");
    }
}
