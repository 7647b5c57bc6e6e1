//! The oracle is the reference library of Standard Webhooks, both ways: it accepts what is
//! signed here, and what it signs is accepted here. It reads the system's clock, so these tests
//! do too.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use standardwebhooks::Webhook;

use super::*;
use crate::clock::{Clock as _, SystemClock, Timestamp};

const TEXT: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OTHER: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
const ID: &str = "evt_01kath67r8e0h8qxqmfqdt2ktq";
const BODY: &[u8] = br#"{"id":"job_1","status":"succeeded"}"#;
const NOW: Timestamp = Timestamp::from_millis(1_764_000_000_000);

fn secret(text: &str) -> Secret {
    Secret::parse(text).expect("a secret")
}

fn oracle(text: &str) -> Webhook {
    Webhook::new(text).expect("a secret")
}

fn standard_headers(id: &str, timestamp: impl ToString, signatures: HeaderValue) -> HeaderMap {
    let value = |text: &str| HeaderValue::from_str(text).expect("a header");
    HeaderMap::from_iter([
        (WEBHOOK_ID, value(id)),
        (WEBHOOK_TIMESTAMP, value(&timestamp.to_string())),
        (WEBHOOK_SIGNATURE, signatures),
    ])
}

/// Headers as they are sent at [`NOW`] under `secrets`.
fn signed(secrets: &[&str], body: &[u8]) -> HeaderMap {
    let secrets: Vec<Secret> = secrets.iter().map(|text| secret(text)).collect();
    standard_headers(ID, NOW.secs(), signatures(&secrets, ID, NOW.secs(), body))
}

fn with(mut headers: HeaderMap, name: HeaderName, value: &str) -> HeaderMap {
    headers.insert(name, HeaderValue::from_str(value).expect("a header"));
    headers
}

fn without(mut headers: HeaderMap, name: HeaderName) -> HeaderMap {
    headers.remove(name);
    headers
}

fn check(headers: &HeaderMap, body: &[u8]) -> Result<Proof, VerifyError> {
    verify(&[secret(TEXT)], headers, body, NOW)
}

fn check_at(headers: &HeaderMap, offset_secs: i64) -> Result<Proof, VerifyError> {
    let now = Timestamp::from_millis(NOW.millis() + offset_secs * 1000);
    verify(&[secret(TEXT)], headers, BODY, now)
}

#[expect(clippy::unnecessary_wraps, reason = "compared with what may fail")]
fn proven() -> Result<Proof, VerifyError> {
    Ok(Proof::Standard { id: ID.to_owned(), timestamp_secs: NOW.secs() })
}

fn v1(secret_text: &str, body: &[u8]) -> String {
    let value = signatures(&[secret(secret_text)], ID, NOW.secs(), body);
    value.to_str().expect("ASCII").to_owned()
}

// ---- against the published vector and the reference library --------------------------------

#[test]
fn the_published_vector_comes_out() {
    let body = br#"{"email":"test@example.com","username":"test_user"}"#;
    let id = "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk";
    let value = signatures(&[secret(OTHER)], id, 1_649_367_553, body);
    assert_eq!(value, "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=");
}

#[test]
fn the_ittybit_signature_is_the_hmac_of_the_body_under_the_secrets_text() {
    // printf %s '{"id":"job_1","status":"succeeded"}' | openssl dgst -sha256 -hmac "$TEXT"
    assert_eq!(
        ittybit_signature(&secret(TEXT), BODY),
        "ca9009594fc425878648008c1590fce005567faa60223ac4b82ec712daa0f2a5"
    );
}

#[test]
fn the_reference_library_accepts_what_is_signed_here() {
    let now = SystemClock.now().secs();
    for body in ["", "{}", r#"{"name":"Zoë 🎬 東京"}"#, "\n", " {} \r\n", "a.b.c"] {
        let value = signatures(&[secret(TEXT)], ID, now, body.as_bytes());
        let headers = standard_headers(ID, now, value);
        oracle(TEXT).verify(body.as_bytes(), &headers).expect(body);
    }
}

#[test]
fn the_reference_library_accepts_a_rotation_list_with_either_secret() {
    let now = SystemClock.now().secs();
    let value = signatures(&[secret(TEXT), secret(OTHER)], ID, now, BODY);
    let headers = standard_headers(ID, now, value);
    oracle(TEXT).verify(BODY, &headers).expect("the newest");
    oracle(OTHER).verify(BODY, &headers).expect("the older");
    let stranger = Secret::generate();
    assert!(oracle(stranger.text()).verify(BODY, &headers).is_err());
}

#[test]
fn the_reference_library_accepts_a_generated_secret() {
    let now = SystemClock.now().secs();
    let secret = Secret::generate();
    let headers =
        standard_headers(ID, now, signatures(std::slice::from_ref(&secret), ID, now, BODY));
    oracle(secret.text()).verify(BODY, &headers).expect("accepted");
}

#[test]
fn what_the_reference_library_signs_is_accepted_here() {
    for body in ["", "{}", r#"{"name":"Zoë 🎬 東京"}"#, "a.b.c"] {
        let value = oracle(TEXT).sign(ID, NOW.secs(), body.as_bytes()).expect("signed");
        let value = HeaderValue::try_from(value).expect("a header");
        assert_eq!(check(&standard_headers(ID, NOW.secs(), value), body.as_bytes()), proven());
    }
}

#[test]
fn a_plain_secret_signs_with_its_own_bytes() {
    let plain = "my old ittybit secret";
    let headers = signed(&[plain], BODY);
    let library = Webhook::from_bytes(plain.into()).expect("a secret");
    let expected = library.sign(ID, NOW.secs(), BODY).expect("signed");
    assert_eq!(headers[WEBHOOK_SIGNATURE], expected.as_str());
    assert_eq!(verify(&[secret(plain)], &headers, BODY, NOW), proven());
}

// ---- tampering -----------------------------------------------------------------------------

#[test]
fn what_is_signed_here_is_accepted_here() {
    assert_eq!(check(&signed(&[TEXT], BODY), BODY), proven());
}

#[test]
fn an_empty_body_can_be_signed() {
    assert_eq!(check(&signed(&[TEXT], b""), b""), proven());
}

#[test]
fn a_body_that_is_not_text_can_be_signed() {
    assert_eq!(check(&signed(&[TEXT], b"\xff\x00\xfe"), b"\xff\x00\xfe"), proven());
}

#[test]
fn a_changed_body_is_refused() {
    let headers = signed(&[TEXT], BODY);
    for changed in
        [&BODY[..BODY.len() - 1], b"", &[BODY, b"\n"].concat(), &BODY.to_ascii_uppercase()]
    {
        assert_eq!(check(&headers, changed), Err(VerifyError::WrongSignature));
    }
}

#[test]
fn a_changed_id_is_refused() {
    let headers = with(signed(&[TEXT], BODY), WEBHOOK_ID, "evt_01kath67r8e0h8qxqmfqdt2ktr");
    assert_eq!(check(&headers, BODY), Err(VerifyError::WrongSignature));
}

#[test]
fn a_changed_timestamp_is_refused() {
    let later = (NOW.secs() + 1).to_string();
    let headers = with(signed(&[TEXT], BODY), WEBHOOK_TIMESTAMP, &later);
    assert_eq!(check(&headers, BODY), Err(VerifyError::WrongSignature));
}

#[test]
fn every_changed_bit_of_the_signature_is_refused() {
    let signature = STANDARD.decode(&v1(TEXT, BODY)["v1,".len()..]).expect("base64");
    for bit in 0..signature.len() * 8 {
        let mut changed = signature.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        let value = format!("v1,{}", STANDARD.encode(changed));
        let headers = with(signed(&[TEXT], BODY), WEBHOOK_SIGNATURE, &value);
        assert_eq!(check(&headers, BODY), Err(VerifyError::WrongSignature), "bit {bit}");
    }
}

#[test]
fn a_shortened_or_lengthened_signature_is_refused() {
    let signature = STANDARD.decode(&v1(TEXT, BODY)["v1,".len()..]).expect("base64");
    for changed in [&signature[..31], &signature[..0], &[&signature[..], b"x"].concat()] {
        let value = format!("v1,{}", STANDARD.encode(changed));
        let headers = with(signed(&[TEXT], BODY), WEBHOOK_SIGNATURE, &value);
        assert_eq!(check(&headers, BODY), Err(VerifyError::WrongSignature));
    }
}

#[test]
fn another_secrets_signature_is_refused() {
    assert_eq!(check(&signed(&[OTHER], BODY), BODY), Err(VerifyError::WrongSignature));
}

#[test]
fn parts_cannot_be_moved_across_the_full_stops() {
    let value = signatures(&[secret(TEXT)], ID, NOW.secs(), b"1764000000.x");
    let id = format!("{ID}.{}", NOW.secs());
    let headers = standard_headers(&id, NOW.secs(), value);
    assert_eq!(check(&headers, b"x"), Err(VerifyError::Unreadable(HeaderField::WebhookId)));
}

// ---- lists ---------------------------------------------------------------------------------

#[test]
fn any_signature_of_a_list_may_fit() {
    for list in [&[TEXT, OTHER], &[OTHER, TEXT]] {
        assert_eq!(check(&signed(list, BODY), BODY), proven());
    }
}

#[test]
fn any_known_secret_may_fit() {
    let headers = signed(&[OTHER], BODY);
    assert_eq!(verify(&[secret(TEXT), secret(OTHER)], &headers, BODY, NOW), proven());
}

#[test]
fn signatures_of_unknown_versions_are_skipped() {
    let good = v1(TEXT, BODY);
    let bare = &good["v1,".len()..];
    let list = format!("v1a,{bare} v2,{bare} nonsense  {good}");
    assert_eq!(check(&with(signed(&[TEXT], BODY), WEBHOOK_SIGNATURE, &list), BODY), proven());
}

#[test]
fn a_list_of_only_unknown_versions_is_refused() {
    let good = v1(TEXT, BODY);
    let bare = &good["v1,".len()..];
    for list in
        [format!("v1a,{bare}"), format!("v2,{bare} V1,{bare}"), bare.to_owned(), String::new()]
    {
        let headers = with(signed(&[TEXT], BODY), WEBHOOK_SIGNATURE, &list);
        assert_eq!(check(&headers, BODY), Err(VerifyError::UnknownVersion), "{list}");
    }
}

#[test]
fn broken_base64_is_refused_alone_and_skipped_beside_a_good_signature() {
    let good = v1(TEXT, BODY);
    for broken in ["v1,", "v1,!!!!", &good[..good.len() - 1], &good.replace('=', "")] {
        let headers = with(signed(&[TEXT], BODY), WEBHOOK_SIGNATURE, broken);
        assert!(check(&headers, BODY).is_err(), "{broken}");
        let list = format!("{broken} {good}");
        let headers = with(signed(&[TEXT], BODY), WEBHOOK_SIGNATURE, &list);
        assert_eq!(check(&headers, BODY), proven(), "{list}");
    }
}

// ---- time ----------------------------------------------------------------------------------

#[test]
fn a_signature_is_good_for_five_minutes_either_way() {
    let headers = signed(&[TEXT], BODY);
    for offset in [-300, -299, -1, 0, 1, 299, 300] {
        assert_eq!(check_at(&headers, offset), proven(), "{offset}");
    }
}

#[test]
fn an_older_signature_is_refused() {
    let headers = signed(&[TEXT], BODY);
    assert_eq!(check_at(&headers, 301), Err(VerifyError::TooOld { secs: 301 }));
}

#[test]
fn a_signature_from_further_ahead_is_refused() {
    let headers = signed(&[TEXT], BODY);
    assert_eq!(check_at(&headers, -301), Err(VerifyError::TooNew { secs: 301 }));
}

#[test]
fn a_timestamp_is_whole_seconds_in_digits() {
    for text in
        ["", "now", "+1764000000", "-1", "1764000000.0", " 1764000000", "99999999999999999999"]
    {
        let headers = with(signed(&[TEXT], BODY), WEBHOOK_TIMESTAMP, text);
        let refused = Err(VerifyError::Unreadable(HeaderField::WebhookTimestamp));
        assert_eq!(check(&headers, BODY), refused, "{text}");
    }
    let millis = with(signed(&[TEXT], BODY), WEBHOOK_TIMESTAMP, &NOW.millis().to_string());
    assert!(matches!(check(&millis, BODY), Err(VerifyError::TooNew { .. })));
}

#[test]
fn the_largest_timestamp_does_not_overflow() {
    let headers = with(signed(&[TEXT], BODY), WEBHOOK_TIMESTAMP, &i64::MAX.to_string());
    let now = Timestamp::from_millis(i64::MIN);
    assert!(matches!(
        verify(&[secret(TEXT)], &headers, BODY, now),
        Err(VerifyError::TooNew { .. })
    ));
}

// ---- headers -------------------------------------------------------------------------------

#[test]
fn each_of_the_three_headers_is_needed() {
    let missing = |name| check(&without(signed(&[TEXT], BODY), name), BODY);
    assert_eq!(missing(WEBHOOK_ID), Err(VerifyError::Missing(HeaderField::WebhookId)));
    assert_eq!(
        missing(WEBHOOK_TIMESTAMP),
        Err(VerifyError::Missing(HeaderField::WebhookTimestamp))
    );
    assert_eq!(
        missing(WEBHOOK_SIGNATURE),
        Err(VerifyError::Missing(HeaderField::WebhookSignature))
    );
}

#[test]
fn a_webhook_without_any_signature_is_refused() {
    assert_eq!(check(&HeaderMap::new(), BODY), Err(VerifyError::Unsigned));
}

#[test]
fn nothing_is_accepted_without_a_secret() {
    let headers = signed(&[TEXT], BODY);
    assert_eq!(verify(&[], &headers, BODY, NOW), Err(VerifyError::NoSecret));
}

#[test]
fn a_header_that_came_twice_is_refused() {
    for field in [WEBHOOK_ID, WEBHOOK_TIMESTAMP, WEBHOOK_SIGNATURE] {
        let mut headers = signed(&[TEXT], BODY);
        headers.append(field.clone(), headers[&field].clone());
        assert!(matches!(check(&headers, BODY), Err(VerifyError::Repeated(_))), "{field}");
    }
}

#[test]
fn a_header_that_is_not_text_is_refused() {
    let mut headers = signed(&[TEXT], BODY);
    headers.insert(WEBHOOK_ID, HeaderValue::from_bytes(b"\xff").expect("opaque bytes"));
    assert_eq!(check(&headers, BODY), Err(VerifyError::Unreadable(HeaderField::WebhookId)));
}

#[test]
fn an_empty_id_is_refused() {
    let headers = with(signed(&[TEXT], BODY), WEBHOOK_ID, "");
    assert_eq!(check(&headers, BODY), Err(VerifyError::Unreadable(HeaderField::WebhookId)));
}

// ---- Ittybit -------------------------------------------------------------------------------

fn ittybit(secret_text: &str, body: &[u8]) -> HeaderMap {
    HeaderMap::from_iter([(ITTYBIT_SIGNATURE, ittybit_signature(&secret(secret_text), body))])
}

#[test]
fn an_ittybit_signature_is_enough_when_there_is_no_other() {
    for text in [TEXT, "plain"] {
        let proof = verify(&[secret(text)], &ittybit(text, BODY), BODY, NOW);
        assert_eq!(proof, Ok(Proof::Ittybit));
    }
}

#[test]
fn a_wrong_ittybit_signature_is_refused() {
    assert_eq!(check(&ittybit(OTHER, BODY), BODY), Err(VerifyError::WrongSignature));
    assert_eq!(check(&ittybit(TEXT, BODY), b"{}"), Err(VerifyError::WrongSignature));
    for text in ["", "00", &"0".repeat(64), &"0".repeat(66)] {
        let headers = with(HeaderMap::new(), ITTYBIT_SIGNATURE, text);
        assert_eq!(check(&headers, BODY), Err(VerifyError::WrongSignature), "{text}");
    }
    let headers = with(HeaderMap::new(), ITTYBIT_SIGNATURE, "not hex");
    assert_eq!(check(&headers, BODY), Err(VerifyError::Unreadable(HeaderField::IttybitSignature)));
}

#[test]
fn a_good_ittybit_signature_does_not_make_up_for_a_bad_standard_one() {
    let mut headers = signed(&[OTHER], BODY);
    headers.extend(ittybit(TEXT, BODY));
    assert_eq!(check(&headers, BODY), Err(VerifyError::WrongSignature));
    assert!(check(&without(headers, WEBHOOK_SIGNATURE), BODY).is_err());
}

// ---- secrets -------------------------------------------------------------------------------

#[test]
fn a_standard_secret_holds_24_to_64_bytes_in_base64() {
    let text = |bytes| format!("whsec_{}", STANDARD.encode(vec![7; bytes]));
    for bytes in [24, 32, 64] {
        assert_eq!(secret(&text(bytes)).text(), text(bytes));
    }
    for bytes in [0, 1, 23, 65] {
        assert_eq!(Secret::parse(&text(bytes)).err(), Some(SecretError::Length { bytes }));
    }
    for broken in ["whsec_!", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS"] {
        assert_eq!(Secret::parse(broken).err(), Some(SecretError::NotBase64));
    }
}

#[test]
fn a_secret_is_not_empty_and_not_surrounded_by_spaces() {
    for text in ["", " ", "\n"] {
        assert_eq!(Secret::parse(text).err(), Some(SecretError::Empty));
    }
    for text in [" a", "a\n", &format!("{TEXT}\n")] {
        assert_eq!(Secret::parse(text).err(), Some(SecretError::Spaces));
    }
}

#[test]
fn secrets_are_at_least_one_and_the_newest_comes_first() {
    let both = Secrets::parse([TEXT, OTHER]).expect("secrets");
    assert_eq!(both.newest().text(), TEXT);
    assert_eq!(both.as_slice().len(), 2);
    assert_eq!(Secrets::parse([]).err(), Some(SecretError::Empty));
    assert_eq!(Secrets::parse([TEXT, ""]).err(), Some(SecretError::Empty));
}

#[test]
fn generated_secrets_differ_and_can_be_read_again() {
    let (one, two) = (Secret::generate(), Secret::generate());
    assert_ne!(one.text(), two.text());
    assert_eq!(secret(one.text()).key(), one.key());
}

#[test]
fn a_secret_is_not_shown_by_debug_or_by_an_error() {
    let shown = format!("{:?} {:?}", secret(TEXT), Secrets::from(secret(TEXT)));
    assert!(!shown.contains("MfKQ9r8"), "{shown}");
    let error = Secret::parse("whsec_private!").expect_err("not base64");
    assert!(!format!("{error} {error:?}").contains("private"));
}

#[test]
fn every_refusal_says_what_to_do() {
    use HeaderField as F;
    use VerifyError as E;
    let fields = [F::WebhookId, F::WebhookTimestamp, F::WebhookSignature, F::IttybitSignature];
    let plain = [
        E::NoSecret,
        E::Unsigned,
        E::TooOld { secs: 301 },
        E::TooNew { secs: 301 },
        E::UnknownVersion,
        E::WrongSignature,
    ];
    let of_fields =
        fields.into_iter().flat_map(|f| [E::Missing(f), E::Repeated(f), E::Unreadable(f)]);
    for error in plain.into_iter().chain(of_fields) {
        assert!(error.hint().len() > 20 && error.to_string() != error.hint(), "{error:?}");
    }
}

proptest! {
    #[test]
    fn library_and_product_sign_the_same(
        key in proptest::collection::vec(any::<u8>(), 24..=64),
        id in "[a-zA-Z0-9_-]{1,40}",
        timestamp in 0_i64..4_102_444_800,
        body in ".*",
    ) {
        let text = format!("whsec_{}", STANDARD.encode(key));
        let ours = signatures(&[secret(&text)], &id, timestamp, body.as_bytes());
        let theirs = oracle(&text).sign(&id, timestamp, body.as_bytes()).expect("signed");
        prop_assert_eq!(&ours, theirs.as_str());
        let headers = standard_headers(&id, timestamp, ours);
        let now = Timestamp::from_millis(timestamp * 1000);
        prop_assert!(verify(&[secret(&text)], &headers, body.as_bytes(), now).is_ok());
    }

    #[test]
    fn no_headers_make_verify_panic_or_pass(
        id in any::<Vec<u8>>(), timestamp in ".*", list in any::<Vec<u8>>(), body in any::<Vec<u8>>(),
    ) {
        let mut headers = HeaderMap::new();
        for (name, bytes) in
            [(WEBHOOK_ID, &id[..]), (WEBHOOK_TIMESTAMP, timestamp.as_bytes()), (WEBHOOK_SIGNATURE, &list)]
        {
            if let Ok(value) = HeaderValue::from_bytes(bytes) {
                headers.insert(name, value);
            }
        }
        prop_assert!(check(&headers, &body).is_err());
    }
}
