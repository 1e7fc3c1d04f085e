"""The page of the fleet, `lbsync console`: what etcd says of all hosts, services and publishers, for people
and programs, and the requests that a token allows."""
