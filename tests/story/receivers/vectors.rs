//! What every receiver must take and must refuse, in the order in which it is sent.

use reelway::clock::{Clock as _, SystemClock};
use standardwebhooks::Webhook;

use crate::harness::WEBHOOK_SECRET;

const OTHER_SECRET: &str = "whsec_b3RoZXJvdGhlcm90aGVyb3RoZXJvdGhlcm90aGVyb3Q=";

/// How a receiver answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// A new event, kept.
    Stored,
    /// An event that is kept already.
    SeenBefore,
    /// Nobody who knows the secret has sent this.
    Refused,
}

impl Answer {
    /// Its status and what its body begins with.
    pub(crate) const fn looks(self) -> (u16, &'static str) {
        match self {
            Self::Stored => (200, "stored"),
            Self::SeenBefore => (200, "seen before"),
            Self::Refused => (401, "the signature does not hold"),
        }
    }
}

/// One webhook and what becomes of it.
#[derive(Clone, Debug)]
pub(crate) struct Vector {
    pub(crate) name: &'static str,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: String,
    pub(crate) answer: Answer,
}

/// A webhook before it is signed. No JSON library writes these bytes again as they are.
struct Event {
    id: &'static str,
    secs: i64,
    body: String,
}

impl Event {
    fn new(id: &'static str) -> Self {
        let body = format!("{{ \"id\":\"job_of_{id}\",\"name\": \"Zo\u{eb}\",\"n\": 1.0 }}\n");
        Self { id, secs: SystemClock.now().secs(), body }
    }

    fn aged(id: &'static str, age_secs: i64) -> Self {
        let event = Self::new(id);
        Self { secs: event.secs - age_secs, ..event }
    }

    fn signature(&self, secret: &str) -> String {
        let webhook = Webhook::new(secret).expect("a secret");
        webhook.sign(self.id, self.secs, self.body.as_bytes()).expect("a signature")
    }

    /// Sent with these signatures.
    fn with(self, signatures: &str, name: &'static str, answer: Answer) -> Vector {
        let headers = vec![
            ("content-type", "application/json".to_owned()),
            ("webhook-id", self.id.to_owned()),
            ("webhook-timestamp", self.secs.to_string()),
            ("webhook-signature", signatures.to_owned()),
        ];
        Vector { name, headers, body: self.body, answer }
    }

    /// Sent as it should be.
    fn signed(self, name: &'static str, answer: Answer) -> Vector {
        let signature = self.signature(WEBHOOK_SECRET);
        self.with(&signature, name, answer)
    }
}

impl Vector {
    fn without(mut self, header: &str) -> Self {
        self.headers.retain(|(name, _)| *name != header);
        self
    }

    fn changed(self, header: &'static str, value: &str) -> Self {
        let mut vector = self.without(header);
        vector.headers.push((header, value.to_owned()));
        vector
    }
}

/// The event that is sent by many at once.
pub(crate) fn raced() -> Vector {
    Event::new("evt_race").signed("many at once", Answer::Stored)
}

pub(crate) fn all() -> Vec<Vector> {
    [taken(), of_other_secrets(), changed_on_the_way(), incomplete(), at_last()].concat()
}

fn taken() -> Vec<Vector> {
    use Answer::{SeenBefore, Stored};
    vec![
        Event::new("evt_1").signed("good", Stored),
        Event::new("evt_1").signed("replayed", SeenBefore),
        Event::aged("evt_1", 100).signed("replayed from an earlier attempt", SeenBefore),
        Event::aged("evt_2", 240).signed("four minutes old", Stored),
        Event::aged("evt_3", -240).signed("four minutes early", Stored),
    ]
}

fn of_other_secrets() -> Vec<Vector> {
    use Answer::{Refused, Stored};
    let wrong = |id| Event::new(id).signature(OTHER_SECRET);
    let right = |id| Event::new(id).signature(WEBHOOK_SECRET);
    let rotated = format!("{} {}", wrong("evt_5"), right("evt_5"));
    let of_versions = format!("v1a,bm90aGluZw== {}", right("evt_6"));
    let of_another_version = right("evt_7").replace("v1,", "v2,");
    vec![
        Event::new("evt_4").with(&wrong("evt_4"), "wrong secret", Refused),
        Event::new("evt_5").with(&rotated, "a list while secrets rotate", Stored),
        Event::new("evt_6").with(&of_versions, "an unknown version before it", Stored),
        Event::new("evt_7").with(&of_another_version, "only an unknown version", Refused),
        Event::new("evt_7").with("v1", "a version and nothing else", Refused),
        Event::new("evt_7").with("v1,", "an empty signature", Refused),
    ]
}

fn changed_on_the_way() -> Vec<Vector> {
    use Answer::Refused;
    let good = || Event::new("evt_8").signed("", Refused);
    let named = |name, vector| Vector { name, ..vector };
    let written_again = good().body.replace("1.0", "1");
    vec![
        Event::aged("evt_8", 400).signed("stale", Refused),
        Event::aged("evt_8", -400).signed("from the future", Refused),
        named("tampered body", Vector { body: "{\"id\":\"job_of_mine\"}".to_owned(), ..good() }),
        named("body written again", Vector { body: written_again, ..good() }),
        named("no body", Vector { body: String::new(), ..good() }),
        named("another id", good().changed("webhook-id", "evt_9")),
        named("another time", {
            let earlier = Event::aged("evt_8", 60).secs.to_string();
            good().changed("webhook-timestamp", &earlier)
        }),
        named("a time in words", good().changed("webhook-timestamp", "now")),
    ]
}

fn incomplete() -> Vec<Vector> {
    use Answer::Refused;
    let good = |name| Event::new("evt_8").signed(name, Refused);
    vec![
        good("no id").without("webhook-id"),
        good("no time").without("webhook-timestamp"),
        good("no signature").without("webhook-signature"),
        good("no header at all")
            .without("webhook-id")
            .without("webhook-timestamp")
            .without("webhook-signature"),
    ]
}

/// What was refused was not kept either.
fn at_last() -> Vec<Vector> {
    vec![Event::new("evt_8").signed("good after all that was refused", Answer::Stored)]
}
