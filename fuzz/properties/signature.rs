//! A webhook as it comes in: lines of headers, an empty line, the raw body.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use reelway::clock::Timestamp;
use reelway::webhook::sign::{
    ITTYBIT_SIGNATURE, Proof, Secret, TOLERANCE, VerifyError, WEBHOOK_ID, WEBHOOK_SIGNATURE,
    WEBHOOK_TIMESTAMP, ittybit_signature, signatures, verify,
};

/// The secret of the corpus, and the moment in which it is read.
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo=";
const NOW_SECS: i64 = 1_764_000_000;

/// What is accepted was signed by us, byte for byte; what we sign is accepted, and nothing else.
pub(crate) fn holds(data: &[u8]) {
    let secrets = [Secret::parse(SECRET).expect("a secret")];
    let now = Timestamp::from_millis(NOW_SECS * 1000);
    let (headers, body) = read(data);
    if let Ok(proof) = verify(&secrets, &headers, body, now) {
        let (ours, theirs) = match &proof {
            Proof::Standard { id, timestamp_secs } => {
                let age = timestamp_secs.abs_diff(NOW_SECS);
                assert!(age <= TOLERANCE.as_secs(), "{age} s old: {headers:?}");
                let ours = signatures(&secrets, id, *timestamp_secs, body);
                (ours, headers[WEBHOOK_SIGNATURE].to_str().expect("text").to_owned())
            }
            // Hex is hex in capitals too.
            Proof::Ittybit => {
                let theirs = headers[ITTYBIT_SIGNATURE].to_str().expect("text");
                (ittybit_signature(&secrets[0], body), theirs.to_ascii_lowercase())
            }
        };
        assert!(theirs.split(' ').any(|one| one == ours), "{ours:?} is not among {theirs}");
    }
    holds_for_our_own(&secrets, data, now);
}

/// Signs `body`, and then changes one bit of what was signed.
fn holds_for_our_own(secrets: &[Secret], body: &[u8], now: Timestamp) {
    let (first, second) = (body.first().copied(), body.get(1).copied());
    let secs = NOW_SECS + i64::from(first.unwrap_or(0)) * 4 - 512;
    let id = format!("evt_{}", second.unwrap_or(0));
    let headers = signed(secrets, &id, secs, body);
    let verdict = verify(secrets, &headers, body, now);
    match secs - NOW_SECS {
        ..-300 => assert!(matches!(verdict, Err(VerifyError::TooOld { .. })), "{verdict:?}"),
        301.. => assert!(matches!(verdict, Err(VerifyError::TooNew { .. })), "{verdict:?}"),
        _ => {
            assert_eq!(verdict, Ok(Proof::Standard { id: id.clone(), timestamp_secs: secs }));
            is_wrong(verify(secrets, &signed(secrets, &id, secs, b""), &longer(body), now));
            for other in [flipped(body), longer(body)] {
                is_wrong(verify(secrets, &headers, &other, now));
            }
            let mut renamed = headers.clone();
            renamed.insert(WEBHOOK_ID, HeaderValue::from_static("evt_other"));
            is_wrong(verify(secrets, &renamed, body, now));
            let mut later = headers;
            later.insert(WEBHOOK_TIMESTAMP, HeaderValue::from(NOW_SECS + 299));
            is_wrong(verify(secrets, &later, body, now));
        }
    }
    let ittybit = HeaderMap::from_iter([(ITTYBIT_SIGNATURE, ittybit_signature(&secrets[0], body))]);
    assert_eq!(verify(secrets, &ittybit, body, now), Ok(Proof::Ittybit));
    is_wrong(verify(secrets, &ittybit, &flipped(body), now));
}

fn is_wrong(verdict: Result<Proof, VerifyError>) {
    assert_eq!(verdict, Err(VerifyError::WrongSignature));
}

fn signed(secrets: &[Secret], id: &str, secs: i64, body: &[u8]) -> HeaderMap {
    HeaderMap::from_iter([
        (WEBHOOK_ID, HeaderValue::from_str(id).expect("a header")),
        (WEBHOOK_TIMESTAMP, HeaderValue::from(secs)),
        (WEBHOOK_SIGNATURE, signatures(secrets, id, secs, body)),
    ])
}

/// The same with one bit changed; something where there was nothing.
fn flipped(body: &[u8]) -> Vec<u8> {
    let mut other = body.to_vec();
    match other.iter().position(|byte| byte % 7 == 3).or(body.len().checked_sub(1)) {
        Some(at) => other[at] ^= 1 << (at % 8),
        None => other.push(0),
    }
    other
}

fn longer(body: &[u8]) -> Vec<u8> {
    [body, b" "].concat()
}

/// Headers that cannot be are left out, as an HTTP server would refuse them.
fn read(data: &[u8]) -> (HeaderMap, &[u8]) {
    let end = data.windows(2).position(|pair| pair == b"\n\n");
    let (head, body) = end.map_or((data, &b""[..]), |at| (&data[..at], &data[at + 2..]));
    let mut headers = HeaderMap::new();
    for line in head.split(|byte| *byte == b'\n').take(16) {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let name = HeaderName::from_bytes(&line[..colon]);
        let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii());
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    (headers, body)
}
