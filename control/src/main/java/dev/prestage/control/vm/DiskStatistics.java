package dev.prestage.control.vm;

/// What a disk did since its guest started.
public record DiskStatistics(long reads, long readBytes, long writes, long writtenBytes) {}
