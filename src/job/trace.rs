//! Which trace a job belongs to: W3C Trace Context, as text.

use serde::{Deserialize, Serialize};

/// The longest `traceparent`; that of the present version has 55 bytes.
const MAX_PARENT_BYTES: usize = 128;

/// The longest `tracestate`: what everybody has to pass on.
const MAX_STATE_BYTES: usize = 512;

/// The most members of a `tracestate`.
const MAX_STATE_MEMBERS: usize = 32;

/// A place in a trace, below which a job's own steps stand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trace {
    #[serde(rename = "traceparent")]
    parent: String,
    #[serde(rename = "tracestate", default, skip_serializing_if = "Option::is_none")]
    state: Option<String>,
}

impl Trace {
    /// Reads what a caller has sent. A `traceparent` that is not valid begins no trace; a
    /// `tracestate` that is not is left out, as the standard wants it.
    #[must_use]
    pub fn parse(parent: &str, state: Option<&str>) -> Option<Self> {
        let parent = parent.trim();
        let state = state.map(str::trim).filter(|state| is_state(state));
        is_parent(parent)
            .then(|| Self { parent: parent.to_owned(), state: state.map(str::to_owned) })
    }

    /// The header `traceparent`.
    #[must_use]
    pub fn parent(&self) -> &str {
        &self.parent
    }

    /// The header `tracestate`, if there is one.
    #[must_use]
    pub fn state(&self) -> Option<&str> {
        self.state.as_deref()
    }

    /// The trace's own id, in hex.
    #[must_use]
    pub fn id(&self) -> &str {
        self.field(1)
    }

    /// The id of the span that others stand below, in hex.
    #[must_use]
    pub fn span_id(&self) -> &str {
        self.field(2)
    }

    /// Whether whoever began the trace keeps it.
    #[must_use]
    pub fn is_sampled(&self) -> bool {
        u8::from_str_radix(self.field(3), 16).is_ok_and(|flags| flags & 1 == 1)
    }

    fn field(&self, position: usize) -> &str {
        self.parent.split('-').nth(position).unwrap_or_default()
    }
}

/// `version-trace-span-flags` in lower-case hex. Later versions may add fields behind these.
fn is_parent(text: &str) -> bool {
    let mut fields = text.split('-');
    let mut hex = |length: usize| {
        let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        fields.next().filter(|field| field.len() == length && field.bytes().all(is_hex))
    };
    let is_something = |field: &str| field.bytes().any(|byte| byte != b'0');
    let (Some(version), Some(trace), Some(span), Some(_flags)) = (hex(2), hex(32), hex(16), hex(2))
    else {
        return false;
    };
    let is_known = version != "ff" && (version != "00" || fields.next().is_none());
    is_known && is_something(trace) && is_something(span) && text.len() <= MAX_PARENT_BYTES
}

fn is_state(text: &str) -> bool {
    let is_member = |member: &str| {
        let member = member.trim();
        member.is_empty() || member.split_once('=').is_some_and(|(key, _)| !key.is_empty())
    };
    let is_text = text.bytes().all(|byte| (b' '..=b'~').contains(&byte) || byte == b'\t');
    let members = text.split(',').count();
    !text.is_empty()
        && text.len() <= MAX_STATE_BYTES
        && is_text
        && members <= MAX_STATE_MEMBERS
        && text.split(',').all(is_member)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_trace_is_read_and_written_as_it_came() {
        let trace = Trace::parse(PARENT, Some("vendor=1,other=a:b")).expect("a trace");
        assert_eq!((trace.parent(), trace.state()), (PARENT, Some("vendor=1,other=a:b")));
        assert_eq!(trace.id(), "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(trace.span_id(), "b7ad6b7169203331");
        assert!(trace.is_sampled());
        let json = serde_json::to_string(&trace).expect("JSON");
        assert_eq!(serde_json::from_str::<Trace>(&json).expect("a trace"), trace);
    }

    #[test]
    fn a_later_version_may_say_more_and_this_one_may_not() {
        let later = PARENT.replacen("00", "cc", 1) + "-what-the-future-will-be-like";
        assert!(Trace::parse(&later, None).is_some());
        assert_eq!(Trace::parse(&format!("{PARENT}-more"), None), None);
        assert_eq!(Trace::parse(&format!("{later}{}", "x".repeat(100)), None), None);
    }

    #[test]
    fn what_is_no_trace_begins_none() {
        for wrong in [
            "",
            "0af7651916cd43dd8448eb211c80319c",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-+af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\nx: y",
        ] {
            assert_eq!(Trace::parse(wrong, None), None, "{wrong}");
        }
    }

    #[test]
    fn a_state_that_is_none_is_left_out_and_the_trace_stays() {
        let long = format!("a={}", "x".repeat(511));
        let many = vec!["a=1"; 33].join(",");
        for wrong in ["", "no-value", "=1", "a=é", "a=\n1", long.as_str(), many.as_str()] {
            let trace = Trace::parse(PARENT, Some(wrong)).expect("a trace");
            assert_eq!(trace.state(), None, "{wrong}");
        }
        let trace = Trace::parse(PARENT, Some("a=1,, b=2")).expect("a trace");
        assert_eq!(trace.state(), Some("a=1,, b=2"));
    }
}
