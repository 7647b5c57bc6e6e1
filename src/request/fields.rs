//! Reads the fields of a JSON object, and names a wrong one by its exact path.
//!
//! A field that is `null` counts as one that is not there. Fields that Reelway does not know are
//! ignored, because clients written for other generations of the API send some; but one that is
//! a slip of a known name (`webhookUrl`, `option`) is refused, because its sender would wait for
//! something that never comes.

use serde_json::{Map, Value};

use super::Problem;
use crate::job::options;

/// The fields of an object somewhere in the body.
#[derive(Clone, Copy)]
pub(super) struct Fields<'a> {
    /// The path in front of the names: empty, or `tasks[1].`.
    prefix: &'a str,
    object: &'a Map<String, Value>,
}

impl<'a> Fields<'a> {
    /// The fields of the object whose path, with its final dot, is `prefix`.
    pub(super) const fn new(prefix: &'a str, object: &'a Map<String, Value>) -> Self {
        Self { prefix, object }
    }

    /// The exact path of a field.
    pub(super) fn path(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// Whether the field is there.
    pub(super) fn has(&self, name: &str) -> bool {
        self.value(name).is_some()
    }

    /// A text.
    pub(super) fn text(&self, name: &str) -> Result<Option<&'a str>, Problem> {
        self.typed(name, "a string", Value::as_str)
    }

    /// An object.
    pub(super) fn object(&self, name: &str) -> Result<Option<&'a Map<String, Value>>, Problem> {
        self.typed(name, "an object", Value::as_object)
    }

    /// A list.
    pub(super) fn list(&self, name: &str) -> Result<Option<&'a Vec<Value>>, Problem> {
        self.typed(name, "a list", Value::as_array)
    }

    /// A whole number.
    pub(super) fn integer(&self, name: &str) -> Result<Option<i64>, Problem> {
        self.typed(name, "a whole number", whole)
    }

    /// A whole number that is not negative.
    pub(super) fn count(&self, name: &str) -> Result<Option<i64>, Problem> {
        self.typed(name, "a whole number, 0 or more", |value| whole(value).filter(|n| *n >= 0))
    }

    /// A problem with a field that must be there and is not.
    pub(super) fn missing(&self, name: &str) -> Problem {
        let path = self.path(name);
        let message = format!("`{path}` is required");
        Problem::invalid_input(path, message)
    }

    /// Refuses a field whose name is a slip of one of `known`.
    pub(super) fn refuse_slips(&self, known: &[&'static str]) -> Result<(), Problem> {
        for name in self.object.keys() {
            if let Some(meant) = slip(name, known) {
                let path = self.path(name);
                let message = format!("there is no field `{path}`");
                return Err(
                    Problem::invalid_input(path, message).hint(format!("did you mean `{meant}`?"))
                );
            }
        }
        Ok(())
    }

    /// `options`, and what stands beside it and is an option: older generations of the API have them
    /// there. Where a name is in both, that of `options` counts.
    pub(super) fn options(
        &self,
        is_option: impl Fn(&str) -> bool,
    ) -> Result<Map<String, Value>, Problem> {
        let mut options = self.object("options")?.cloned().unwrap_or_default();
        for (name, value) in self.object {
            if !value.is_null() && !options.contains_key(name) && is_option(name) {
                options.insert(name.clone(), value.clone());
            }
        }
        Ok(options)
    }

    fn value(&self, name: &str) -> Option<&'a Value> {
        self.object.get(name).filter(|value| !value.is_null())
    }

    fn typed<T>(
        &self,
        name: &str,
        what: &str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, Problem> {
        let Some(value) = self.value(name) else { return Ok(None) };
        read(value).map(Some).ok_or_else(|| {
            let path = self.path(name);
            let message = format!("`{path}` must be {what}, not {}", described(value));
            Problem::invalid_input(path, message)
        })
    }
}

/// The one of `known` that `name` is a slip of: its first word, or up to a quarter of its letters
/// are wrong.
pub(super) fn slip(name: &str, known: &[&'static str]) -> Option<&'static str> {
    if known.contains(&name) || name.len() > 64 {
        return None;
    }
    let first_word = |meant: &&&str| meant.split_once('_').is_some_and(|(first, _)| first == name);
    if let Some(meant) = known.iter().find(first_word) {
        return Some(meant);
    }
    known
        .iter()
        .map(|meant| (strsim::osa_distance(name, meant), *meant))
        .filter(|(distance, meant)| *distance <= meant.len() / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, meant)| meant)
}

fn whole(value: &Value) -> Option<i64> {
    value.as_number().and_then(options::whole)
}

fn described(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(number) if number.is_f64() => "a number with a fraction",
        Value::Number(_) => "a number like this",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_number_without_a_fraction_is_whole_however_it_is_written() {
        for (number, whole) in [
            (json!(7), Some(7)),
            (json!(7.0), Some(7)),
            (json!(-7e0), Some(-7)),
            (json!(7.5), None),
            (json!(1e300), None),
            (json!("7"), None),
        ] {
            let Value::Object(object) = json!({"a": number}) else { panic!("an object") };
            let read = Fields::new("", &object).integer("a").ok().flatten();
            assert_eq!(read, whole, "{object:?}");
        }
    }

    #[test]
    fn a_slip_is_near_a_known_name_and_far_from_the_names_of_other_generations() {
        let known = ["input", "url", "kind", "options", "metadata", "webhook_url", "tasks"];
        for (typed, meant) in [
            ("webhookUrl", "webhook_url"),
            ("webhook_uri", "webhook_url"),
            ("webhook", "webhook_url"),
            ("option", "options"),
            ("task", "tasks"),
            ("inputs", "input"),
            ("knid", "kind"),
            ("meta_data", "metadata"),
        ] {
            assert_eq!(slip(typed, &known), Some(meant), "{typed}");
        }
        for stranger in ["ref", "label", "folder", "filename", "file_id", "width", "type", "uri"] {
            assert_eq!(slip(stranger, &known), None, "{stranger}");
        }
        for name in known {
            assert_eq!(slip(name, &known), None);
        }
    }
}
