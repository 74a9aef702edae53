"""What a case is: kinds of records, their files and keys; findings; domains."""
