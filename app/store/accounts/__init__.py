"""Connected accounts, pending sign-ins and what each account used of its quota."""
