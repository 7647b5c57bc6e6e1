use proptest::prelude::*;

use super::*;

fn length() -> impl Strategy<Value = Length> {
    prop_oneof![
        (1..=MAX_SIDE).prop_map(Length::Pixels),
        (1..=100_u32).prop_map(|share| Length::Percent(f64::from(share))),
    ]
}

fn wish() -> impl Strategy<Value = Wish> {
    let fits = prop_oneof![Just(Fit::Contain), Just(Fit::Cover), Just(Fit::Fill)];
    let positions =
        prop_oneof![Just(Position::Center), Just(Position::TopLeft), Just(Position::BottomRight)];
    let sides = (prop::option::of(length()), prop::option::of(length()));
    (sides, fits, positions, any::<bool>()).prop_map(|((width, height), fit, position, ground)| {
        let room = fit == Fit::Contain && width.is_some() == height.is_some();
        let background = (ground && room).then_some(Color::WHITE);
        Wish { width, height, fit, position, background }
    })
}

fn grid() -> impl Strategy<Value = Grid> {
    prop_oneof![Just(Grid::Even), Just(Grid::Any)]
}

fn source() -> impl Strategy<Value = (u32, u32)> {
    prop_oneof![(1..=16_384_u32, 1..=16_384_u32), (1..=64_u32, 1..=64_u32)]
}

fn sized(width: u32, height: u32, fit: Fit) -> Wish {
    let (width, height) = (Some(Length::Pixels(width)), Some(Length::Pixels(height)));
    Wish { width, height, fit, ..Wish::default() }
}

proptest! {
    #[test]
    fn every_side_is_on_the_grid_and_within_bounds(
        source in source(), wish in wish(), grid in grid()
    ) {
        let geometry = Geometry::new(source, &wish, grid);
        let (width, height) = geometry.size();
        for side in [width, height, geometry.scaled.0, geometry.scaled.1] {
            prop_assert!(side >= grid.least() && side.is_multiple_of(grid.least()));
        }
        prop_assert!(width <= MAX_SIDE && height <= MAX_SIDE);
    }

    #[test]
    fn nothing_is_enlarged_unless_a_fill_names_both_sides(
        source in source(), wish in wish(), grid in grid()
    ) {
        let both = wish.width.is_some() && wish.height.is_some();
        prop_assume!(!(wish.fit == Fit::Fill && both));
        let (width, height) = Geometry::new(source, &wish, grid).scaled;
        prop_assert!(width <= source.0.max(grid.least()), "{width} of {}", source.0);
        prop_assert!(height <= source.1.max(grid.least()), "{height} of {}", source.1);
    }

    #[test]
    fn cuts_and_grounds_fit_around_the_scaled_picture(
        source in source(), wish in wish(), grid in grid()
    ) {
        let Geometry { scaled, crop, pad } = Geometry::new(source, &wish, grid);
        prop_assert!(crop.is_none() || pad.is_none());
        if let Some(crop) = crop {
            prop_assert!(crop.x + crop.width <= scaled.0 && crop.y + crop.height <= scaled.1);
        }
        if let Some(pad) = pad {
            prop_assert!(pad.x + scaled.0 <= pad.width && pad.y + scaled.1 <= pad.height);
        }
    }

    #[test]
    fn contain_keeps_the_aspect_to_within_the_grid(
        source in source(), width in 1..=MAX_SIDE, height in 1..=MAX_SIDE, grid in grid()
    ) {
        let (out_width, out_height) =
            Geometry::new(source, &sized(width, height, Fit::Contain), grid).size();
        let ideal = f64::from(source.0) / f64::from(source.1);
        // A side may be off by one step of the grid, a side that would vanish by more.
        prop_assume!(out_width > 2 && out_height > 2);
        let step = f64::from(grid.least());
        let least = (f64::from(out_width) - step) / (f64::from(out_height) + step);
        let most = (f64::from(out_width) + step) / (f64::from(out_height) - step);
        prop_assert!(least <= ideal && ideal <= most, "{out_width}×{out_height} of {ideal}");
    }

    #[test]
    fn cover_is_exactly_the_box_when_the_source_is_large_enough(
        source in source(), width in 2..=MAX_SIDE, height in 2..=MAX_SIDE, grid in grid()
    ) {
        prop_assume!(source.0 >= width && source.1 >= height);
        let size = Geometry::new(source, &sized(width, height, Fit::Cover), grid).size();
        prop_assert_eq!(size, (grid.floor(width), grid.floor(height)));
    }

    #[test]
    fn a_ground_is_exactly_the_box(
        source in source(), width in 2..=MAX_SIDE, height in 2..=MAX_SIDE, grid in grid()
    ) {
        let mut wish = sized(width, height, Fit::Contain);
        wish.background = Some(Color::WHITE);
        let size = Geometry::new(source, &wish, grid).size();
        prop_assert_eq!(size, (grid.floor(width), grid.floor(height)));
    }
}

#[test]
fn sizes_that_people_ask_for() {
    let wide = (1920, 1080);
    let width = |width| Wish { width: Some(Length::Pixels(width)), ..Wish::default() };
    let cases = [
        (wide, width(640), (640, 360)),
        (wide, width(854), (854, 480)),
        (wide, width(4000), (1920, 1080)),
        ((1280, 719), width(320), (320, 180)),
        ((853, 480), Wish::default(), (852, 480)),
        ((720, 1280), width(320), (320, 568)),
        (wide, sized(500, 500, Fit::Contain), (500, 282)),
        (wide, sized(500, 500, Fit::Cover), (500, 500)),
        (wide, sized(2000, 2000, Fit::Cover), (1080, 1080)),
        (wide, sized(2000, 2000, Fit::Fill), (2000, 2000)),
        ((10_000, 2), width(100), (100, 2)),
        ((1, 1), Wish::default(), (2, 2)),
        ((12_000, 3000), Wish::default(), (8192, 2048)),
    ];
    for (source, wish, size) in cases {
        assert_eq!(Geometry::new(source, &wish, Grid::Even).size(), size, "{source:?} {wish:?}");
    }
}

#[test]
fn a_share_is_of_the_source() {
    let wish = Wish { width: Some(Length::Percent(50.0)), ..Wish::default() };
    assert_eq!(Geometry::new((1001, 501), &wish, Grid::Any).size(), (501, 251));
}

#[test]
fn cover_keeps_the_part_that_was_asked_for() {
    let mut wish = sized(100, 100, Fit::Cover);
    let mut offset = |position| {
        wish.position = position;
        let crop = Geometry::new((400, 200), &wish, Grid::Even).crop.expect("a cut");
        (crop.x, crop.y)
    };
    assert_eq!(offset(Position::Left), (0, 0));
    assert_eq!(offset(Position::Center), (50, 0));
    assert_eq!(offset(Position::BottomRight), (100, 0));
}
