//! Holds what the server says against the document in which it says what it will say.
//!
//! Every answer that a test gets through [`crate::app::TestApp`] is checked here: its status is one
//! that the document has for the route, and its body, content type and telling headers are as
//! the document says.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Method, Request};
use jsonschema::Validator;
use serde_json::{Value, json};
use tokio::sync::OnceCell;
use tower::ServiceExt as _;

use crate::answer::Answer;

/// Headers that may not be in an answer unless the document has them.
const TELLING: [&str; 7] = [
    "has-more",
    "idempotency-replayed",
    "link",
    "location",
    "retry-after",
    "content-range",
    "www-authenticate",
];

/// The document of this process: all its servers have the same routes.
static DOCUMENT: OnceCell<Contract> = OnceCell::const_new();

/// The API's own document.
pub(crate) struct Contract(Value);

/// One operation of it.
pub(crate) struct Operation<'a> {
    contract: &'a Contract,
    value: &'a Value,
}

impl Contract {
    /// As the server tells it.
    pub(crate) async fn of(router: &Router) -> &'static Self {
        DOCUMENT
            .get_or_init(async || {
                let request = Request::get("/openapi.json").body(Body::empty()).expect("a request");
                let answer = router.clone().oneshot(request).await.expect("an answer");
                let bytes = to_bytes(answer.into_body(), usize::MAX).await.expect("a body");
                Self(serde_json::from_slice(&bytes).expect("JSON"))
            })
            .await
    }

    pub(crate) const fn document(&self) -> &Value {
        &self.0
    }

    /// The path and method of every operation, with the operation.
    pub(crate) fn operations(&self) -> Vec<(&str, Method, Operation<'_>)> {
        let paths = self.0["paths"].as_object().expect("paths").iter();
        paths
            .flat_map(|(path, item)| {
                let operations = item.as_object().expect("a path item").iter();
                operations.map(move |(name, value)| {
                    let method = name.to_uppercase().parse().expect("a method");
                    (path.as_str(), method, Operation { contract: self, value })
                })
            })
            .collect()
    }

    /// What the document says of a request, if it knows the route and the method.
    pub(crate) fn operation(&self, method: &Method, path: &str) -> Option<Operation<'_>> {
        let path = path.split('?').next().unwrap_or_default();
        let method = if method == Method::HEAD { &Method::GET } else { method };
        let mut found: Vec<_> = self
            .operations()
            .into_iter()
            .filter(|(template, of, _)| of == method && is_of(template, path))
            .collect();
        // The route with the fewest variables is the one that is meant.
        found.sort_by_key(|(template, ..)| template.matches('{').count());
        found.into_iter().next().map(|(.., operation)| operation)
    }

    /// Every way in which `value` is not as `schema` says.
    pub(crate) fn errors(&self, schema: &Value, value: &Value) -> Vec<String> {
        let validator = self.validator(schema);
        let errors = validator.iter_errors(value);
        errors.map(|error| format!("{}: {error}", error.instance_path())).collect()
    }

    /// Looks at many values of one schema.
    pub(crate) fn validator(&self, schema: &Value) -> Validator {
        let whole = json!({"allOf": [schema], "components": self.0["components"]});
        jsonschema::validator_for(&whole).expect("a schema")
    }

    /// Follows a reference within the document.
    pub(crate) fn resolved<'a>(&'a self, value: &'a Value) -> &'a Value {
        match value["$ref"].as_str().and_then(|reference| reference.strip_prefix('#')) {
            Some(pointer) => self.0.pointer(pointer).expect(pointer),
            None => value,
        }
    }
}

impl Operation<'_> {
    /// The schema of a JSON body that the operation takes.
    pub(crate) fn request(&self) -> Option<&Value> {
        self.value.pointer("/requestBody/content/application~1json/schema")
    }

    pub(crate) const fn value(&self) -> &Value {
        self.value
    }

    /// Refuses an answer that the document does not have.
    pub(crate) fn check(&self, call: &str, answer: &Answer) {
        let status = answer.status.as_str();
        let documented = &self.value["responses"][status];
        assert!(documented.is_object(), "{call}: {status} is not in the document: {answer:?}");
        let documented = self.contract.resolved(documented);
        for name in TELLING.into_iter().filter(|name| answer.headers.contains_key(*name)) {
            let headers = documented["headers"].as_object().into_iter().flat_map(|all| all.keys());
            let is_documented = headers.into_iter().any(|header| header.eq_ignore_ascii_case(name));
            assert!(
                is_documented,
                "{call}: {status} has a header {name}, and no such in the document"
            );
        }
        if !answer.body.is_empty() {
            self.check_body(call, documented, answer);
        }
    }

    fn check_body(&self, call: &str, documented: &Value, answer: &Answer) {
        let sent = answer.header("content-type");
        let essence = sent.split(';').next().unwrap_or_default();
        let content = &documented["content"];
        let media = content.get(essence).or_else(|| content.get("*/*"));
        let Some(media) = media else { panic!("{call}: {sent} is not in {content}") };
        if essence == "application/json" {
            let errors = self.contract.errors(&media["schema"], &answer.json());
            assert!(errors.is_empty(), "{call} {}: {errors:#?} {}", answer.status, answer.json());
        }
    }
}

/// Whether a path is of a template: `/jobs/{id}`; a variable at the end may have slashes.
fn is_of(template: &str, path: &str) -> bool {
    let (mut template, mut path) = (template.split('/'), path.split('/'));
    loop {
        match (template.next(), path.next()) {
            (None, None) => return true,
            (Some(name), Some(segment)) if name.starts_with('{') => {
                if segment.is_empty() {
                    return false;
                }
                if name == "{key}" {
                    return template.next().is_none();
                }
            }
            (Some(name), Some(segment)) if name == segment => {}
            _ => return false,
        }
    }
}
