//! `reelway worker`: work for a server elsewhere.

use super::typed::Desk;

#[test]
fn a_worker_on_a_database_of_one_process_is_refused_with_the_way_out() {
    let said = Desk::new().run(&["worker"]);
    said.assert_refused(1, &["DATABASE_URL", "postgres"]);
}
