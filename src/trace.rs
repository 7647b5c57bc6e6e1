//! One trace a job, from the request to the webhook: how a trace gets into and out of spans.
//!
//! In come headers, or the [`Trace`] that was kept with a job; out go headers again. Spans are
//! those of `tracing`, which logs have too. Where a collector is set up, they are parts of the
//! trace as well; where none is, nobody listens here, and a trace that was sent along is passed on
//! as it came.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::trace::{
    SpanContext, SpanId, Status, TraceContextExt as _, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{Context, Value};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use crate::job::Trace;

const PARENT: HeaderName = HeaderName::from_static("traceparent");
const STATE: HeaderName = HeaderName::from_static("tracestate");

/// The target of spans that are in no trace: what asks every few seconds tells of no job.
pub const UNTRACED: &str = "reelway::untraced";

/// The trace that a request was sent with, if it is valid.
#[must_use]
pub fn sent_with(headers: &HeaderMap) -> Option<Trace> {
    let mut parents = headers.get_all(PARENT).iter();
    let (Some(parent), None) = (parents.next(), parents.next()) else { return None };
    let states: Vec<&str> =
        headers.get_all(STATE).iter().filter_map(|state| state.to_str().ok()).collect();
    let state = (!states.is_empty()).then(|| states.join(","));
    Trace::parse(parent.to_str().ok()?, state.as_deref())
}

/// The headers that pass a trace on.
pub fn headers(trace: &Trace) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
    let value = |text: &str| HeaderValue::from_str(text).ok();
    let parent = value(trace.parent()).map(|parent| (PARENT, parent));
    let state = trace.state().and_then(value).map(|state| (STATE, state));
    parent.into_iter().chain(state)
}

/// Puts a span that was not entered yet below the place that the trace has come to.
pub fn join(span: &Span, trace: Option<&Trace>) {
    if let Some(place) = trace.and_then(place) {
        // It fails where nobody listens.
        let _unheard = span.set_parent(Context::new().with_remote_span_context(place));
    }
}

/// The place that the trace has come to in the present span; none where nobody listens.
#[must_use]
pub fn here() -> Option<Trace> {
    let context = Span::current().context();
    let place = context.span().span_context().clone();
    if !place.is_valid() {
        return None;
    }
    let flags = (place.trace_flags() & TraceFlags::SAMPLED).to_u8();
    let parent = format!("00-{}-{}-{flags:02x}", place.trace_id(), place.span_id());
    Trace::parse(&parent, Some(&place.trace_state().header()))
}

/// Notes something on a span in its trace, and not in the log.
pub fn note(span: &Span, key: &'static str, value: impl Into<Value>) {
    span.set_attribute(key, value);
}

/// Notes that what the span is of has failed, in a word.
pub fn failed(span: &Span, why: &str) {
    span.set_status(Status::error(why.to_owned()));
}

fn place(trace: &Trace) -> Option<SpanContext> {
    let flags = if trace.is_sampled() { TraceFlags::SAMPLED } else { TraceFlags::default() };
    let state = trace.state().and_then(|state| state.parse::<TraceState>().ok());
    Some(SpanContext::new(
        TraceId::from_hex(trace.id()).ok()?,
        SpanId::from_hex(trace.span_id()).ok()?,
        flags,
        true,
        state.unwrap_or_default(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn sent(pairs: &[(HeaderName, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn headers_are_passed_on_as_they_came() {
        let came = sent(&[(PARENT, SENT), (STATE, "a=1,b=2")]);
        let trace = sent_with(&came).expect("a trace");
        assert_eq!(headers(&trace).collect::<HeaderMap>(), came);
    }

    #[test]
    fn two_parents_are_none_and_two_states_are_one() {
        assert_eq!(sent_with(&sent(&[(STATE, "a=1")])), None);
        let mut headers = sent(&[(PARENT, SENT)]);
        headers.append(STATE, HeaderValue::from_static("a=1"));
        headers.append(STATE, HeaderValue::from_static("b=2"));
        assert_eq!(sent_with(&headers).expect("a trace").state(), Some("a=1,b=2"));
        headers.append(PARENT, HeaderValue::from_static(SENT));
        assert_eq!(sent_with(&headers), None);
    }

    #[test]
    fn where_nobody_listens_a_span_is_in_no_trace() {
        let span = tracing::info_span!("request");
        join(&span, Trace::parse(SENT, None).as_ref());
        failed(&span, "for a reason");
        assert_eq!(span.in_scope(here), None);
    }
}
