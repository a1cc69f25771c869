package dev.prestage.dataplane.block;

/// What one tier holds of an image. The shelves of an image are ordered as the tiers are, the
/// fastest first; an extent lies on one of them or on none.
record Shelf(Tier tier, TierFile file) {}
