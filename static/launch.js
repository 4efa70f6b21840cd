// Posts the ticket as soon as the page is there.  Without scripts the button does it.
document.getElementById("launch").submit();
