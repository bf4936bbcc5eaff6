"""What a Dynamo store may not do: the checkers of model `dynamo`."""
