//! The options of each kind as fields of a form, made from the schemas that the API itself shows,
//! and the fields back into the JSON that the API takes. Pure.

use std::sync::LazyLock;

use serde_json::{Map, Number, Value, json};

use crate::job::Kind;
use crate::job::options::whole;
use crate::request;

/// The schemas of all options, as in the API's document.
static SCHEMAS: LazyLock<Value> = LazyLock::new(request::options_schemas);

/// A field of a form.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Field {
    /// Its name in the form: `t0.width`, `t0.sprite.columns`.
    pub(super) name: String,
    /// Its name for people.
    pub(super) label: String,
    pub(super) help: String,
    pub(super) input: Input,
    pub(super) value: String,
    pub(super) default: String,
    pub(super) is_required: bool,
    pub(super) problem: Option<String>,
}

/// What a field takes.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Input {
    Choice(Vec<String>),
    Number { min: String, max: String, step: &'static str, unit: &'static str },
    Flag,
    Text { placeholder: String },
}

impl Field {
    pub(super) fn choices(&self) -> &[String] {
        if let Input::Choice(choices) = &self.input { choices } else { &[] }
    }

    pub(super) fn is_choice(&self) -> bool {
        matches!(self.input, Input::Choice(_))
    }

    pub(super) fn is_flag(&self) -> bool {
        self.input == Input::Flag
    }

    pub(super) fn is_number(&self) -> bool {
        matches!(self.input, Input::Number { .. })
    }

    pub(super) fn range(&self) -> (&str, &str, &str) {
        if let Input::Number { min, max, step, .. } = &self.input {
            (min, max, step)
        } else {
            ("", "", "")
        }
    }

    pub(super) fn placeholder(&self) -> &str {
        match &self.input {
            Input::Number { unit, .. } if self.default.is_empty() => unit,
            Input::Text { placeholder } if self.default.is_empty() => placeholder,
            _ => &self.default,
        }
    }

    pub(super) fn is_set(&self) -> bool {
        !self.value.is_empty()
    }
}

/// One task of the form.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Task {
    pub(super) number: usize,
    pub(super) kind: &'static str,
    /// What most people look for.
    pub(super) main: Vec<Field>,
    /// All the rest.
    pub(super) more: Vec<Field>,
    pub(super) problem: Option<String>,
}

/// The options that stand in front, in this order.
const MAIN: [&str; 8] =
    ["format", "quality", "width", "height", "start", "end", "normalize", "waveform"];

impl Task {
    /// The fields of a kind, with the values that `value` knows.
    pub(super) fn of(number: usize, kind: Kind, value: impl Fn(&str) -> Option<String>) -> Self {
        let prefix = format!("t{number}.");
        let schema = &SCHEMAS["kinds"][kind.name()];
        let mut fields = fields(&prefix, "", schema);
        for field in &mut fields {
            field.value = value(&field.name).unwrap_or_default();
        }
        let place =
            |field: &Field| MAIN.iter().position(|name| field.name[prefix.len()..] == **name);
        let (mut main, more): (Vec<Field>, Vec<Field>) =
            fields.into_iter().partition(|field| place(field).is_some());
        main.sort_by_key(place);
        Self { number, kind: kind.name(), main, more, problem: None }
    }

    /// Whether something behind the fold is filled in or wrong.
    pub(super) fn is_unfolded(&self) -> bool {
        self.more.iter().any(|field| field.is_set() || field.problem.is_some())
    }

    /// Puts what is wrong beside the field that it is about; returns whether it is here.
    pub(super) fn blame(&mut self, path: &str, message: &str) -> bool {
        let name = format!("t{}.{path}", self.number);
        let mut fields = self.main.iter_mut().chain(&mut self.more);
        match fields.find(|field| field.name == name) {
            Some(field) => field.problem = Some(message.to_owned()),
            None => self.problem = Some(message.to_owned()),
        }
        true
    }

    /// The task as the API takes it.
    pub(super) fn to_json(&self) -> Value {
        let mut options = Map::new();
        let prefix = format!("t{}.", self.number);
        for field in self.main.iter().chain(&self.more) {
            let Some(value) = field.to_json() else { continue };
            match field.name[prefix.len()..].split_once('.') {
                None => drop(options.insert(field.name[prefix.len()..].to_owned(), value)),
                Some((group, name)) => {
                    let group = options.entry(group).or_insert_with(|| json!({}));
                    if let Value::Object(group) = group {
                        group.insert(name.to_owned(), value);
                    }
                }
            }
        }
        if options.is_empty() {
            json!({"kind": self.kind})
        } else {
            json!({"kind": self.kind, "options": options})
        }
    }
}

impl Field {
    /// The value as JSON; none when the field is empty or says what holds anyway. What is no
    /// number is sent as it is: the API says what is wrong with it.
    fn to_json(&self) -> Option<Value> {
        let text = self.value.trim();
        if text.is_empty() || text == self.default {
            return None;
        }
        if self.is_flag() {
            return Some(Value::Bool(true));
        }
        let is_size =
            matches!(&self.input, Input::Text { placeholder } if placeholder.contains('%'));
        let number = || {
            text.parse::<i64>()
                .ok()
                .map(Number::from)
                .or_else(|| text.parse::<f64>().ok().and_then(Number::from_f64))
        };
        Some(match number().filter(|_| self.is_number() || is_size) {
            Some(number) => Value::Number(number),
            None => text.into(),
        })
    }
}

/// The fields of an object's schema.
fn fields(prefix: &str, label: &str, schema: &Value) -> Vec<Field> {
    let schema = resolved(schema);
    let required: Vec<&str> =
        schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let properties = schema["properties"].as_object().into_iter().flatten();
    let fields = properties.flat_map(|(name, schema)| {
        let shown = format!("{label}{}", name.replace('_', " "));
        let inner = resolved(schema);
        if inner["properties"].is_object() {
            // Of a group that can be left out, nothing is asked for.
            return self::fields(&format!("{prefix}{name}."), &format!("{shown}: "), inner)
                .into_iter()
                .map(|field| Field { is_required: false, ..field })
                .collect();
        }
        vec![Field {
            name: format!("{prefix}{name}"),
            label: shown,
            help: help(schema),
            input: input(inner),
            value: String::new(),
            default: schema.get("default").map(shown_value).unwrap_or_default(),
            is_required: required.contains(&name.as_str()),
            problem: None,
        }]
    });
    fields.collect()
}

/// Follows references, and the one choice that is not null.
fn resolved(schema: &Value) -> &Value {
    if let Some(name) = schema["$ref"].as_str().and_then(|reference| reference.rsplit('/').next()) {
        return resolved(&SCHEMAS["schemas"][name]);
    }
    let choices = schema["oneOf"].as_array();
    let mut others = choices.into_iter().flatten().filter(|choice| choice["type"] != "null");
    match (others.next(), others.next()) {
        (Some(only), None) => resolved(only),
        _ => schema,
    }
}

fn help(schema: &Value) -> String {
    let of = |schema: &Value| schema["description"].as_str().map(str::to_owned);
    let choices = schema["oneOf"].as_array();
    let text = of(schema)
        .or_else(|| choices.into_iter().flatten().find_map(of))
        .or_else(|| of(resolved(schema)))
        .unwrap_or_default();
    text.replace('`', "")
}

fn shown_value(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(false) | Value::Null => String::new(),
        Value::Number(number) => {
            whole(number).map_or_else(|| number.to_string(), |whole| whole.to_string())
        }
        other => other.to_string(),
    }
}

fn input(schema: &Value) -> Input {
    if let Some(names) = schema["enum"].as_array() {
        return Input::Choice(names.iter().filter_map(Value::as_str).map(str::to_owned).collect());
    }
    let is_time = schema["description"].as_str().is_some_and(|text| text.contains("seconds"));
    let unit = if is_time { "seconds" } else { "" };
    let bound = |name: &str| schema.get(name).map(shown_value).unwrap_or_default();
    match schema["type"].as_str() {
        Some("boolean") => Input::Flag,
        Some("integer") => {
            Input::Number { min: bound("minimum"), max: bound("maximum"), step: "1", unit }
        }
        Some("number") => {
            Input::Number { min: bound("minimum"), max: bound("maximum"), step: "any", unit }
        }
        _ => Input::Text { placeholder: placeholder(schema) },
    }
}

/// An example of a text.
fn placeholder(schema: &Value) -> String {
    let choices = schema["oneOf"].as_array().into_iter().flatten();
    let mut examples = std::iter::once(schema).chain(choices);
    let of = |schema: &Value| schema["examples"][0].as_str().map(str::to_owned);
    let example = examples.find_map(of);
    let is_size = schema["oneOf"].as_array().is_some_and(|choices| {
        choices.iter().any(|choice| choice["type"] == "integer")
            && choices.iter().any(|choice| choice["type"] == "string")
    });
    match example {
        Some(_) if is_size => "pixels or 50%".to_owned(),
        Some(example) => example,
        None if schema["pattern"].as_str().is_some_and(|pattern| pattern.contains("tT")) => {
            "https://…".to_owned()
        }
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::Options;

    fn task(kind: Kind, values: &[(&str, &str)]) -> Task {
        Task::of(0, kind, |name| {
            values.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn every_kind_has_a_form_whose_empty_fields_are_no_options() {
        let mut told = String::new();
        for kind in Kind::OF_JOBS {
            let task = task(kind, &[]);
            assert_eq!(task.to_json(), json!({"kind": kind.name()}), "{kind:?}");
            for field in task.main.iter().chain(&task.more) {
                assert!(!field.help.is_empty(), "{field:?}");
                told += &format!(
                    "{} {} {:?} {}\n",
                    kind.name(),
                    field.name,
                    field.input,
                    field.default
                );
            }
        }
        insta::assert_snapshot!(told);
    }

    #[test]
    fn what_is_filled_in_becomes_what_the_api_takes() {
        let task = task(
            Kind::Image,
            &[
                ("t0.format", "webp"),
                ("t0.width", "640"),
                ("t0.height", "50%"),
                ("t0.quality", "medium"),
                ("t0.start", "1.5"),
                ("t0.sprite.columns", "10"),
                ("t0.sprite.rows", "5"),
            ],
        );
        let json = task.to_json();
        assert_eq!(
            json,
            json!({"kind": "image", "options": {
                "format": "webp", "width": 640, "height": "50%", "start": 1.5,
                "sprite": {"columns": 10, "rows": 5}
            }})
        );
        let Value::Object(options) = json["options"].clone() else { panic!("an object") };
        Options::decode(Kind::Image, &options).expect("what the API takes");
    }

    #[test]
    fn what_is_no_number_is_sent_as_it_is_and_blamed_where_it_was_typed() {
        let mut task = task(Kind::Video, &[("t0.fps", "fast"), ("t0.mute", "on")]);
        assert_eq!(task.to_json()["options"], json!({"fps": "fast", "mute": true}));
        task.blame("fps", "no");
        let blamed: Vec<&Field> =
            task.more.iter().filter(|field| field.problem.is_some()).collect();
        assert_eq!(blamed.len(), 1);
        assert_eq!(blamed[0].name, "t0.fps");
    }
}
