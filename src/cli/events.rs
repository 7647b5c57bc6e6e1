//! Server-Sent Events: bytes in as they come, the data of whole events out.
//!
//! Only `data` lines matter here. What is kept between two events is at most
//! [`MAX_EVENT_BYTES`].

/// The largest event.
const MAX_EVENT_BYTES: usize = 4 << 20;

/// An event that is larger than [`MAX_EVENT_BYTES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event of the server is too large to be right")]
pub(super) struct TooLarge;

/// A reader of events.
#[derive(Debug, Default)]
pub(super) struct Events {
    line: Vec<u8>,
    data: Vec<u8>,
}

impl Events {
    /// Takes bytes and returns the data of the events that they complete.
    ///
    /// # Errors
    ///
    /// An event is larger than [`MAX_EVENT_BYTES`].
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Result<Vec<Vec<u8>>, TooLarge> {
        let mut events = Vec::new();
        for &byte in bytes {
            if byte != b'\n' {
                if self.line.len() + self.data.len() >= MAX_EVENT_BYTES {
                    return Err(TooLarge);
                }
                self.line.push(byte);
                continue;
            }
            let line = std::mem::take(&mut self.line);
            events.extend(self.end_of(line.strip_suffix(b"\r").unwrap_or(&line)));
        }
        Ok(events)
    }

    /// An empty line ends an event; other lines than `data` say nothing that is needed.
    fn end_of(&mut self, line: &[u8]) -> Option<Vec<u8>> {
        if line.is_empty() {
            let mut data = std::mem::take(&mut self.data);
            data.pop();
            return (!data.is_empty()).then_some(data);
        }
        if let Some(data) = line.strip_prefix(b"data:") {
            self.data.extend_from_slice(data.strip_prefix(b" ").unwrap_or(data));
            self.data.push(b'\n');
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STREAM: &[u8] =
        b": hello\n\nevent: job\nid: 1\ndata: {\"a\":\ndata:1}\r\n\r\ndata: 2\n\nret";

    #[test]
    fn events_come_out_whole_and_comments_do_not() {
        let events = Events::default().feed(STREAM).expect("events");
        assert_eq!(events, [b"{\"a\":\n1}".to_vec(), b"2".to_vec()]);
    }

    proptest! {
        #[test]
        fn it_does_not_matter_how_the_bytes_are_cut(cut in 0..STREAM.len()) {
            let mut reader = Events::default();
            let mut events = reader.feed(&STREAM[..cut]).expect("events");
            events.extend(reader.feed(&STREAM[cut..]).expect("events"));
            prop_assert_eq!(events, Events::default().feed(STREAM).expect("events"));
        }
    }

    #[test]
    fn an_event_without_end_is_refused() {
        let mut reader = Events::default();
        let line = [b"data: ".as_slice(), &vec![b'x'; 1 << 20], b"\n"].concat();
        let fed: Vec<bool> = (0..5).map(|_| reader.feed(&line).is_ok()).collect();
        assert_eq!(fed, [true, true, true, false, false]);
    }
}
