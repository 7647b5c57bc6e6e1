//! The query of a list: which rows, in which order, how many, and the ways on from a page.
//!
//! Pure. A parameter that is not known is ignored unless it is a slip of a known one; a wrong
//! value is always refused, because a list of the wrong rows looks like a right one.

use std::fmt::Display;
use std::str::FromStr;

use axum::Json;
use axum::http::header::LINK;
use axum::http::{HeaderName, HeaderValue};
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use url::form_urlencoded;

use super::Problem;
use super::fields::slip;
use crate::id::{BatchId, JobId};
use crate::job::{Kind, Status};
use crate::store::{
    BatchFilter, BatchPage, DeliveryFilter, DeliveryState, JobFilter, JobPage, Newest, Page,
};

/// How many rows a page has at most.
const MAX_LIMIT: u32 = 100;

/// How many rows a page has when nothing is said.
const DEFAULT_LIMIT: u32 = 20;

/// The query of `GET /jobs`.
#[derive(Debug)]
pub(super) struct Listing {
    /// What was asked for.
    pub(super) filter: JobFilter,
    /// The parameters that stay the same from page to page.
    kept: Vec<(String, String)>,
}

impl Listing {
    /// Reads a query string.
    pub(super) fn parse(query: &str) -> Result<Self, Problem> {
        let mut filter = JobFilter { limit: DEFAULT_LIMIT, ..JobFilter::default() };
        let mut kept = Vec::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()).into_owned() {
            match name.as_str() {
                "kind" => filter.kind = Some(one_of(&name, &value, Kind::ALL, Kind::name)?),
                "status" => filter.status = Some(one_of(&name, &value, Status::ALL, Status::name)?),
                "input" => filter.input = Some(value.clone()),
                "batch_id" => filter.batch_id = Some(id::<BatchId>(&name, &value)?),
                "after" => filter.after = Some(id::<JobId>(&name, &value)?),
                "before" => filter.before = Some(id::<JobId>(&name, &value)?),
                "limit" => filter.limit = limit(&value)?,
                "order" => {
                    let (_, ascending) = one_of(&name, &value, ORDERS, |(name, _)| name)?;
                    filter.ascending = ascending;
                }
                _ => refuse_slip(&name, JOB_PARAMETERS)?,
            }
            if JOB_PARAMETERS.contains(&name.as_str()) && name != "after" && name != "before" {
                kept.push((name, value));
            }
        }
        Ok(Self { filter, kept })
    }

    /// The value of the `Link` header.
    pub(super) fn links(&self, page: &JobPage) -> Option<String> {
        let ends = (page.jobs.first()?.id, page.jobs.last()?.id);
        let came = Came::by(self.filter.after.is_some(), self.filter.before.is_some());
        links("/jobs", &self.kept, came, page.has_more, ends)
    }
}

/// The query of `GET /batches`.
#[derive(Debug)]
pub(super) struct BatchListing {
    /// What was asked for.
    pub(super) filter: BatchFilter,
    /// The parameters that stay the same from page to page.
    kept: Vec<(String, String)>,
}

impl BatchListing {
    /// Reads a query string.
    pub(super) fn parse(query: &str) -> Result<Self, Problem> {
        let mut filter = BatchFilter { limit: DEFAULT_LIMIT, ..BatchFilter::default() };
        let mut kept = Vec::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()).into_owned() {
            match name.as_str() {
                "input" => filter.input = Some(value.clone()),
                "after" => filter.after = Some(id::<BatchId>(&name, &value)?),
                "before" => filter.before = Some(id::<BatchId>(&name, &value)?),
                "limit" => filter.limit = limit(&value)?,
                "order" => {
                    let (_, ascending) = one_of(&name, &value, ORDERS, |(name, _)| name)?;
                    filter.ascending = ascending;
                }
                _ => refuse_slip(&name, BATCH_PARAMETERS)?,
            }
            if BATCH_PARAMETERS.contains(&name.as_str()) && name != "after" && name != "before" {
                kept.push((name, value));
            }
        }
        Ok(Self { filter, kept })
    }

    /// The value of the `Link` header.
    pub(super) fn links(&self, page: &BatchPage) -> Option<String> {
        let ends = (page.batches.first()?.id, page.batches.last()?.id);
        let came = Came::by(self.filter.after.is_some(), self.filter.before.is_some());
        links("/batches", &self.kept, came, page.has_more, ends)
    }
}

/// The query of a list that is shown newest first: `GET /keys`, `/connections` and `/audit`.
#[derive(Debug)]
pub(super) struct NewestListing<I> {
    /// What was asked for.
    pub(super) which: Newest<I>,
    /// The parameters that stay the same from page to page.
    kept: Vec<(String, String)>,
}

impl<I: Copy + Display + FromStr> NewestListing<I> {
    /// Reads a query string.
    pub(super) fn parse(query: &str) -> Result<Self, Problem> {
        let mut which = Newest::up_to(DEFAULT_LIMIT);
        let mut kept = Vec::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()).into_owned() {
            match name.as_str() {
                "after" => which.after = Some(id::<I>(&name, &value)?),
                "before" => which.before = Some(id::<I>(&name, &value)?),
                "limit" => {
                    which.limit = limit(&value)?;
                    kept.push((name, value));
                }
                _ => refuse_slip(&name, NEWEST_PARAMETERS)?,
            }
        }
        Ok(Self { which, kept })
    }

    /// The page at `path` as it is answered, each row of it as `view` shows it.
    pub(super) fn answer<T, V: Serialize>(
        &self,
        path: &str,
        page: &Page<T>,
        id: impl Fn(&T) -> I,
        view: impl Fn(&T) -> V,
    ) -> Result<Response, Problem> {
        let came = Came::by(self.which.after.is_some(), self.which.before.is_some());
        let ends = page.rows.first().map(&id).zip(page.rows.last().map(&id));
        let links = ends.and_then(|ends| links(path, &self.kept, came, page.has_more, ends));
        let rows: Vec<V> = page.rows.iter().map(view).collect();
        answer(&rows, page.has_more, links)
    }
}

/// How somebody came to a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Came {
    /// It is the first.
    First,
    /// From the page before it.
    Forwards,
    /// From the page behind it.
    Backwards,
}

impl Came {
    const fn by(after: bool, before: bool) -> Self {
        match (after, before) {
            (true, _) => Self::Forwards,
            (false, true) => Self::Backwards,
            (false, false) => Self::First,
        }
    }
}

/// Where the next and the previous page are (RFC 8288).
///
/// Whoever travels backwards came from a page that is still ahead, and the other way round.
fn links(
    path: &str,
    kept: &[(String, String)],
    came: Came,
    has_more: bool,
    (first, last): (impl Display, impl Display),
) -> Option<String> {
    let link = |cursor: &str, id: &dyn Display, rel: &str| {
        let query = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(kept)
            .append_pair(cursor, &id.to_string())
            .finish();
        format!("<{path}?{query}>; rel=\"{rel}\"")
    };
    let (has_next, has_prev) = match came {
        Came::First => (has_more, false),
        Came::Forwards => (has_more, true),
        Came::Backwards => (true, has_more),
    };
    let next = has_next.then(|| link("after", &last, "next"));
    let prev = has_prev.then(|| link("before", &first, "prev"));
    let links: Vec<String> = next.into_iter().chain(prev).collect();
    (!links.is_empty()).then(|| links.join(", "))
}

/// Whether there are more rows in the direction of travel.
const HAS_MORE: HeaderName = HeaderName::from_static("has-more");

/// A page as it is answered: a bare list, with the ways on in the headers.
pub(super) fn answer<T: Serialize>(
    rows: &[T],
    has_more: bool,
    links: Option<String>,
) -> Result<Response, Problem> {
    let mut response = Json(rows).into_response();
    let more = HeaderValue::from_static(if has_more { "true" } else { "false" });
    response.headers_mut().insert(HAS_MORE, more);
    if let Some(links) = links {
        let links = HeaderValue::try_from(links).map_err(Problem::internal)?;
        response.headers_mut().insert(LINK, links);
    }
    Ok(response)
}

pub(super) const NEWEST_PARAMETERS: &[&str] = &["limit", "after", "before"];

pub(super) const BATCH_PARAMETERS: &[&str] = &["input", "limit", "after", "before", "order"];

pub(super) const JOB_PARAMETERS: &[&str] =
    &["kind", "status", "input", "batch_id", "limit", "after", "before", "order"];

const ORDERS: [(&str, bool); 2] = [("desc", false), ("asc", true)];

const DELIVERY_STATES: [DeliveryState; 4] =
    [DeliveryState::Pending, DeliveryState::Delivered, DeliveryState::Failed, DeliveryState::Held];

pub(super) const DELIVERY_PARAMETERS: &[&str] =
    &["job_id", "batch_id", "state", "operations", "limit"];

/// Which deliveries of which project.
#[derive(Debug)]
pub(super) struct DeliveryListing {
    pub(super) filter: DeliveryFilter,
    /// Those about the server itself, in place of the caller's own.
    pub(super) operations: bool,
}

/// Reads the query of `GET /webhooks/deliveries`.
pub(super) fn deliveries(query: &str) -> Result<DeliveryListing, Problem> {
    let mut operations = false;
    let mut filter = DeliveryFilter { limit: DEFAULT_LIMIT, ..DeliveryFilter::default() };
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        match &*name {
            "job_id" | "job" => filter.job_id = Some(id::<JobId>(&name, &value)?),
            "batch_id" => filter.batch_id = Some(id::<BatchId>(&name, &value)?),
            "state" => {
                filter.state = Some(one_of(&name, &value, DELIVERY_STATES, DeliveryState::name)?);
            }
            "operations" => {
                operations =
                    one_of(&name, &value, [true, false], |is| if is { "true" } else { "false" })?;
            }
            "limit" => filter.limit = limit(&value)?,
            _ => refuse_slip(&name, DELIVERY_PARAMETERS)?,
        }
    }
    Ok(DeliveryListing { filter, operations })
}

fn one_of<T: Copy, const N: usize>(
    name: &str,
    value: &str,
    all: [T; N],
    name_of: impl Fn(T) -> &'static str,
) -> Result<T, Problem> {
    all.into_iter().find(|item| name_of(*item) == value).ok_or_else(|| {
        let message = format!("`{name}` must be one of {}", all.map(name_of).join(", "));
        Problem::invalid_input(name, message)
    })
}

fn id<T: FromStr>(name: &str, value: &str) -> Result<T, Problem> {
    value.parse().map_err(|_| {
        let message = format!("`{name}` is not an id of the kind that belongs here");
        Problem::invalid_input(name, message)
    })
}

fn limit(value: &str) -> Result<u32, Problem> {
    match value.parse() {
        Ok(limit) if (1..=MAX_LIMIT).contains(&limit) => Ok(limit),
        _ => {
            let message = format!("`limit` must be a whole number from 1 to {MAX_LIMIT}");
            Err(Problem::invalid_input("limit", message))
        }
    }
}

fn refuse_slip(name: &str, known: &[&'static str]) -> Result<(), Problem> {
    match slip(name, known) {
        None => Ok(()),
        Some(meant) => {
            let message = format!("there is no parameter `{name}`");
            Err(Problem::invalid_input(name, message).hint(format!("did you mean `{meant}`?")))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_parameter_is_read() {
        let job = "job_01h2xcejqtf2nbrexx3vqjhp41";
        let query = format!(
            "kind=image&status=failed&input=http%3A%2F%2Fa.example%2F%3Fa%3D1&limit=7&order=asc\
             &batch_id=batch_01h2xcejqtf2nbrexx3vqjhp41&after={job}&before={job}"
        );
        let filter = Listing::parse(&query).expect("a query").filter;
        assert_eq!(filter.kind, Some(Kind::Image));
        assert_eq!(filter.status, Some(Status::Failed));
        assert_eq!(filter.input.as_deref(), Some("http://a.example/?a=1"));
        assert_eq!((filter.limit, filter.ascending), (7, true));
        assert!(filter.batch_id.is_some() && filter.after.is_some() && filter.before.is_some());
    }

    #[test]
    fn a_wrong_value_is_refused_and_an_unknown_parameter_is_not() {
        for wrong in [
            "kind=film",
            "status=done",
            "limit=0",
            "limit=101",
            "limit=x",
            "order=up",
            "after=task_01h2xcejqtf2nbrexx3vqjhp41",
            "before=1",
            "batch_id=job_01h2xcejqtf2nbrexx3vqjhp41",
            "stauts=failed",
        ] {
            assert!(Listing::parse(wrong).is_err(), "{wrong}");
        }
        let listing = Listing::parse("page=3&sort=x").expect("a query");
        assert_eq!(listing.filter.limit, DEFAULT_LIMIT);
        assert!(listing.kept.is_empty());
        assert!(deliveries("state=lost").is_err());
        let held = deliveries("state=held").expect("a query");
        assert_eq!((held.filter.state, held.operations), (Some(DeliveryState::Held), false));
        assert!(deliveries("operations=true").expect("a query").operations);
        assert!(deliveries("operations=yes").is_err());
    }

    proptest! {
        #[test]
        fn no_query_makes_the_reader_panic(query in ".{0,100}") {
            let _outcomes =
                (Listing::parse(&query), BatchListing::parse(&query), deliveries(&query));
            let _outcome = NewestListing::<crate::id::KeyId>::parse(&query);
        }
    }
}
