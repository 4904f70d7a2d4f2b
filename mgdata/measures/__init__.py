"""What is measured of an image or a record, one measure a module."""
