//! Which addresses may be reached for a stranger. Pure.
//!
//! IPv4 is everything but a list of networks. IPv6 is the other way round: only the space that
//! is handed out to the public internet, less the parts of it that carry an IPv4 address or
//! lead nowhere; chasing each new transition prefix with a deny list has failed others.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// The ports that may be reached at public addresses.
pub const PORTS: [u16; 4] = [80, 443, 8080, 8443];

/// IPv4 networks that are private, special, or lead to a cloud's own machinery.
const FORBIDDEN_V4: [Ipv4Net; 20] = [
    v4(0, 0, 0, 0, 8),          // this network
    v4(10, 0, 0, 0, 8),         // private
    v4(100, 64, 0, 0, 10),      // carrier-grade NAT; metadata of some clouds
    v4(127, 0, 0, 0, 8),        // loopback
    v4(168, 63, 129, 16, 32),   // Azure's wire server, in public space
    v4(169, 254, 0, 0, 16),     // link-local; metadata of most clouds
    v4(172, 16, 0, 0, 12),      // private
    v4(192, 0, 0, 0, 24),       // protocol assignments
    v4(192, 0, 2, 0, 24),       // documentation
    v4(192, 31, 196, 0, 24),    // AS112
    v4(192, 52, 193, 0, 24),    // AMT relays
    v4(192, 88, 99, 0, 24),     // 6to4 relays
    v4(192, 168, 0, 0, 16),     // private
    v4(192, 175, 48, 0, 24),    // AS112
    v4(198, 18, 0, 0, 15),      // benchmarks
    v4(198, 51, 100, 0, 24),    // documentation
    v4(203, 0, 113, 0, 24),     // documentation
    v4(224, 0, 0, 0, 4),        // multicast
    v4(240, 0, 0, 0, 4),        // reserved
    v4(255, 255, 255, 255, 32), // broadcast
];

/// The IPv6 space of the public internet.
const PUBLIC_V6: Ipv6Net = v6([0x2000, 0, 0], 3);

/// What is in that space and still not to be reached.
const FORBIDDEN_V6: [Ipv6Net; 5] = [
    v6([0x2001, 0, 0], 23),      // Teredo, benchmarks, ORCHID and other protocols
    v6([0x2001, 0x0db8, 0], 32), // documentation
    v6([0x2002, 0, 0], 16),      // 6to4: carries an IPv4 address
    v6([0x2620, 0x004f, 0x8000], 48), // AS112
    v6([0x3fff, 0, 0], 20),      // documentation
];

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

const fn v6(head: [u16; 3], prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(head[0], head[1], head[2], 0, 0, 0, 0, 0), prefix)
}

/// Says which addresses may be reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Guard {
    allow: Vec<IpNet>,
}

impl Guard {
    /// A guard that lets through the public internet and the operator's own networks
    /// (`REELWAY_ALLOW_NETWORKS`). An IPv4 address in IPv6 clothes counts as the IPv4 address.
    #[must_use]
    pub const fn new(allow: Vec<IpNet>) -> Self {
        Self { allow }
    }

    /// Whether `address` may be reached.
    #[must_use]
    pub fn permits(&self, address: IpAddr) -> bool {
        self.is_allowed_by_operator(address) || is_public(address)
    }

    /// Whether `port` may be reached at `address`: one of [`PORTS`], or any port in the
    /// operator's own networks, where receivers under development listen on odd ones.
    #[must_use]
    pub fn permits_port(&self, socket: SocketAddr) -> bool {
        PORTS.contains(&socket.port()) || self.is_allowed_by_operator(socket.ip())
    }

    fn is_allowed_by_operator(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.allow.iter().any(|network| network.contains(&address))
    }
}

fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => !FORBIDDEN_V4.iter().any(|network| network.contains(&address)),
        IpAddr::V6(address) => {
            PUBLIC_V6.contains(&address)
                && !FORBIDDEN_V6.iter().any(|network| network.contains(&address))
                && !is_isatap(address)
        }
    }
}

/// Whether the interface id is ISATAP's, which carries an IPv4 address below any prefix.
const fn is_isatap(address: Ipv6Addr) -> bool {
    let [_, _, _, _, high, low, _, _] = address.segments();
    matches!(high, 0x0000 | 0x0200) && low == 0x5efe
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::outbound::tests::security_table;

    #[test]
    fn every_row_of_the_address_table_is_judged_as_wanted() {
        let Some(table) = security_table("ips.txt") else { return };
        let mut rows = 0;
        for row in table.lines() {
            let mut fields = row.split('\t');
            let wanted = fields.next() == Some("allow");
            let address: IpAddr = fields.next().expect("an address").parse().expect("an address");
            assert_eq!(Guard::default().permits(address), wanted, "{row}");
            rows += 1;
        }
        assert_eq!(rows, 47);
    }

    #[test]
    fn the_operators_networks_win_over_the_rule_and_over_the_ports() {
        let guard = Guard::new(vec!["127.0.0.0/8".parse().expect("a network")]);
        for text in ["127.0.0.2", "::ffff:127.0.0.2"] {
            let address: IpAddr = text.parse().expect("an address");
            assert!(guard.permits(address), "{text}");
            assert!(guard.permits_port(SocketAddr::new(address, 3001)), "{text}");
        }
        assert!(!guard.permits("::1".parse().expect("an address")));
        assert!(!guard.permits("10.0.0.1".parse().expect("an address")));
    }

    #[test]
    fn a_public_address_is_reached_on_four_ports_only() {
        let address: IpAddr = "1.1.1.1".parse().expect("an address");
        let open: Vec<u16> = (0..=u16::MAX)
            .filter(|port| Guard::default().permits_port(SocketAddr::new(address, *port)))
            .collect();
        assert_eq!(open, PORTS);
    }

    fn private_v4() -> impl Strategy<Value = Ipv4Addr> {
        (0..FORBIDDEN_V4.len(), any::<u32>()).prop_map(|(index, noise)| {
            let network = FORBIDDEN_V4[index];
            let host = noise & u32::from(network.hostmask());
            Ipv4Addr::from(u32::from(network.network()) | host)
        })
    }

    proptest! {
        #[test]
        fn a_private_address_is_refused_in_every_dress(v4 in private_v4(), low in any::<u64>()) {
            let [a, b, c, d] = v4.octets().map(u16::from);
            let (high, tail) = (a << 8 | b, c << 8 | d);
            let bits = u128::from(u32::from(v4));
            let dresses = [
                IpAddr::V4(v4),
                v4.to_ipv6_mapped().into(),
                Ipv6Addr::from(bits).into(),                                     // compatible
                Ipv6Addr::new(0, 0, 0, 0, 0xffff, 0, high, tail).into(),         // SIIT
                Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, tail).into(),      // NAT64
                Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, high, tail).into(),      // local NAT64
                Ipv6Addr::from(0x2002 << 112 | bits << 80 | u128::from(low)).into(), // 6to4
                Ipv6Addr::from(0x2001 << 112 | u128::from(low) << 32 | (!bits & 0xffff_ffff)).into(),
                Ipv6Addr::new(0x2606, 0x4700, 0, 0, 0, 0x5efe, high, tail).into(),
                Ipv6Addr::new(0x2606, 0x4700, 0, 0, 0x200, 0x5efe, high, tail).into(),
            ];
            for dress in dresses {
                prop_assert!(!Guard::default().permits(dress), "{}", dress);
            }
        }

        #[test]
        fn outside_the_public_space_no_ipv6_address_is_reached(bits in any::<u128>()) {
            let address = Ipv6Addr::from(bits);
            prop_assume!(address.to_ipv4_mapped().is_none() && !PUBLIC_V6.contains(&address));
            prop_assert!(!Guard::default().permits(address.into()));
        }
    }
}
