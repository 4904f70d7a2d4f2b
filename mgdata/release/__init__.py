"""What is published: rows, their order and files, statistics, the card, and the check of it all."""
